"""The desk without ComfyUI: a workflow becomes a bundle, and goes to a device.

ComfyUI's nodes and routes stand on this room, and so does the command line. Nothing here knows ComfyUI, and
importing it does nothing; torch, onnx, aiohttp and cryptography are imported when they are first used.
"""
