"""The desk from a terminal: `python -m comfyui_pocketvideo pair | devices | push | run | ...`."""
