"""The forms in which a denoiser's blocks can be exported: how tokens lie in memory, how heads are computed.

MobileI2V (arXiv 2511.21475) keeps tokens channels-first, so that linear layers are 1x1 convolutions, computes
heads one after another, and writes attention as einsums, each for a phone's neural engine. All forms compute
the same with the same weights; which is fastest depends on the device (`make bench-precision` measures one).
This module only names them, without torch; `layout_stages.py` makes them.
"""

from dataclasses import dataclass, replace

from .errors import ExportError

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
