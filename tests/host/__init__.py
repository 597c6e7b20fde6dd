"""The real ComfyUI for tests, the demo and benchmarks: where it is, how it starts, how to talk to it.

Nothing in the pack imports this room: a user's own ComfyUI needs none of it. See `server.ComfyServer` for a
running host and `client.ComfyClient` for its HTTP and websocket interface.
"""
