"""The errors of the compiler and the exporter: one sentence each, the thing, the cause, the next step."""


class WorkflowError(ValueError):
    """A workflow cannot be compiled; the message names the node, the input and what is allowed."""


class UnsupportedNode(WorkflowError):
    """A node on the way to the output has no lowering, so no device can run it."""


class ExportError(RuntimeError):
    """A component cannot be exported."""


class ParityError(ExportError):
    """An exported graph does not compute what its torch source computes."""


class ExportCancelled(ExportError):
    """The caller asked to stop; whatever was finished stays in the cache."""
