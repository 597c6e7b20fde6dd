"""The command `python -m comfyui_pocketvideo.mobile_runtime.agent`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
