"""The reference device: a command that pairs with a desk and runs the bundles it sends (docs/protocol.md).

Imports numpy, onnxruntime, aiohttp, tokenizers, av and the standard library only; knows the bridge by its
protocol alone. Start it with `python -m comfyui_pocketvideo.mobile_runtime.agent --help`.
"""
