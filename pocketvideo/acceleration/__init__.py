"""Training-free acceleration for any video diffusion model: leaping over steps, and merging tokens of frames.

Torch alone; knows nothing of ComfyUI. The nodes attach these functions through the host's own seams.
"""
