"""The seam to ComfyUI: our networks as its MODEL, CLIP and VAE, its folders and progress, our routes."""
