"""The denoiser's dimensions, and the presets.

MobileI2V (arXiv 2511.21475) is one point of this space: `mobilei2v_270m`. `pocket_shapes` is a small one with
text, trained in this repository.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class DenoiserConfig:
    """Dimensions of the linear-hybrid video DiT.

    Args:
        in_channels: latent channels, in and out.
        width: token width C; a multiple of `6 * heads`, because a head is cut in three axes of pairs.
        depth: number of blocks.
        heads: attention heads, the same for linear and softmax blocks.
        softmax_every: every n-th block attends with softmax, the others linearly.
        mlp_hidden: channels after the gate of the GLUMBConv; its first convolution makes twice as many.
        text_width: width of the text encoder's output; None builds a network without text.
        cross_attention: blocks attend to the text. MobileI2V's release has text weights but no such layers.
        null_caption_tokens: rows of the learned null caption that MobileI2V's checkpoint carries, else 0.
        position_table_frames: rows of the unused temporal position table of that checkpoint, else 0.
        rope_grid: a latent of any height and width is mapped onto this many positions per axis.
        time_scale: multiplies t in [0, 1] before the sinusoid; MobileI2V uses 1.
    """

    in_channels: int
    width: int
    depth: int
    heads: int
    mlp_hidden: int
    softmax_every: int = 8
    text_width: int | None = None
    cross_attention: bool = False
    null_caption_tokens: int = 0
    position_table_frames: int = 0
    rope_grid: int = 16
    rope_base: float = 10000.0
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.width % (6 * self.heads):
            raise ValueError(
                f"width {self.width} with {self.heads} heads leaves heads that three axes of RoPE cannot "
                "share: choose a width that is a multiple of 6 * heads."
            )
        if self.cross_attention and self.text_width is None:
            raise ValueError("cross_attention needs text_width, the width of the text encoder's output.")

    @property
    def head_dim(self) -> int:
        return self.width // self.heads

    def block_kind(self, index: int) -> str:
        """`linear` or `softmax`: 7 linear blocks, then one softmax block, and so on."""
        return "softmax" if index % self.softmax_every == self.softmax_every - 1 else "linear"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DenoiserConfig:
        """Raises ValueError for a field that this version does not know, naming it."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"The denoiser's config has unknown fields {unknown}: update PocketVideo.")
        return cls(**values)


MOBILEI2V_270M = DenoiserConfig(
    in_channels=128,
    width=1152,
    depth=16,
    heads=16,
    mlp_hidden=2880,
    text_width=896,
    null_caption_tokens=300,
    position_table_frames=17,
)

POCKET_SHAPES = DenoiserConfig(
    in_channels=24,
    width=192,
    depth=8,
    heads=8,
    mlp_hidden=360,
    text_width=96,
    cross_attention=True,
    time_scale=1000.0,
)

PRESETS: dict[str, DenoiserConfig] = {"mobilei2v_270m": MOBILEI2V_270M, "pocket_shapes": POCKET_SHAPES}
