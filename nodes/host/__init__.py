"""The seam to ComfyUI: our networks as its MODEL, CLIP and VAE, its folders, its progress, our routes on its server."""
