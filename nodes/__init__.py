"""What a person sees in ComfyUI. Nodes are thin; host/ turns our networks into the host's objects."""
