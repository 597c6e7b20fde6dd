"""What a person sees in ComfyUI. Nodes are thin; host/ turns the library's networks into the host's objects."""
