"""The demo's one error."""


class DemoError(RuntimeError):
    """The demo cannot go on; the message names the thing, the cause and what to do."""
