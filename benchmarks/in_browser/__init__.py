"""The phone's engine in a real browser, measured beside the Python engine on the same machine."""
