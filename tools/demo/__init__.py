"""`make demo`: one workflow, run in ComfyUI and on a paired device, and the two videos compared.

Everything is real: ComfyUI is started headless and driven over HTTP as its own frontend does, and the device
is a process of its own, with its own folder, in an environment without torch.
"""
