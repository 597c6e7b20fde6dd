"""The forms in which a denoiser's blocks can be exported: how tokens lie in memory, how heads are computed.

MobileI2V (arXiv 2511.21475) keeps tokens channels-first, so that linear layers are 1x1 convolutions, computes
heads one after another, and writes attention as einsums, each for a phone's neural engine. All forms compute
the same with the same weights; which is fastest depends on the device (`make bench-precision` measures one).
This module only names them, without torch; `layout_stages.py` makes them.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from .errors import ExportError
from .plan import TWIN_OF

LAYOUTS = ("tokens", "channels")
HEADS = ("batched", "tiled", "einsum")


@dataclass(frozen=True)
class Form:
    """`layout`: tokens `[B, F, H, W, C]` or channels `[B, C, F, H, W]`; `heads`: one of `HEADS`."""

    layout: str = "tokens"
    heads: str = "batched"

    def __str__(self) -> str:
        return f"{self.layout},{self.heads}"


USUAL = Form()


def check_form(form: Form, components: Collection[str], *, own: bool) -> None:
    """Raise `ExportError` where these components cannot have the form; `own` says that the model is ours."""
    if form == USUAL:
        return
    if not own:
        raise ExportError(f"Only PocketVideo's own denoiser has the form {form}; leave it out.")
    if any(name in TWIN_OF for name in components):
        raise ExportError(
            f"Merging is exported in the form {USUAL} alone; leave out the form {form}, or the node that "
            "merges tokens."
        )


def parse_form(text: str) -> Form:
    """`channels`, `tiled`, or `channels,einsum`. Raises `ExportError` for other words."""
    made = USUAL
    for word in text.split(","):
        name = word.strip()
        if name in LAYOUTS:
            made = replace(made, layout=name)
        elif name in HEADS:
            made = replace(made, heads=name)
        else:
            raise ExportError(
                f"There is no form {name!r}; choose a layout of {', '.join(LAYOUTS)}, a way to compute heads "
                f"of {', '.join(HEADS)}, or one of each."
            )
    return made
