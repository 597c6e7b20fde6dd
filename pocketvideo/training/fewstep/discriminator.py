"""SnapGen-V's discriminator (arXiv 2412.10494): the teacher's frozen first half, and small trainable heads.

Features are the tokens after each chosen block. A head looks at every frame by itself (a residual block of
2-D convolutions), then along time at every place (self-attention), and gives one logit per token, with a
projection on the pooled text. SF-V (2406.04324) has the two as separate heads; which of them exist, and a
head on differences between frames against loss of motion, are options.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .parent import Conditions, Velocity

# (x, times, conditions) -> tokens [B, F, H, W, C] after each feature stage
Features = Callable[[Tensor, Tensor, Conditions], list[Tensor]]
KINDS = ("both", "spatial", "temporal", "difference")


@dataclass(frozen=True)
class HeadsConfig:
    """Which heads, and how wide.

    Args:
        stages: indices of the blocks whose output is a feature; usually the first half.
        kinds: heads per stage, of KINDS: `both` is SnapGen-V's spatial-temporal head.
        width: channels inside a head.
        attention_heads: of the temporal self-attention.
    """

    stages: tuple[int, ...]
    kinds: tuple[str, ...] = ("both",)
    width: int = 64
    attention_heads: int = 4

    def __post_init__(self) -> None:
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown or not self.kinds or not self.stages:
            raise ValueError(
                f"A discriminator needs stages and kinds of {', '.join(KINDS)}; it has stages "
                f"{list(self.stages)} and kinds {list(self.kinds)}: correct the recipe."
            )


class SpatialBlock(nn.Module):
    """A residual block of 3 x 3 convolutions on every frame: `[B, F, H, W, C]` to the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, tokens: Tensor) -> Tensor:
        frames = tokens.flatten(0, 1).permute(0, 3, 1, 2)
        change = self.second(F.silu(self.first(F.silu(self.norm(frames)))))
        return (frames + change).permute(0, 2, 3, 1).unflatten(0, tokens.shape[:2])


class TemporalAttention(nn.Module):
    """Self-attention along time at every place, with a learned position per frame."""

    MAX_FRAMES = 64

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.position = nn.Parameter(torch.randn(self.MAX_FRAMES, width) * 0.02)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, frames, height, width, channels = tokens.shape
        if frames > self.MAX_FRAMES:
            raise ValueError(f"A temporal head takes {self.MAX_FRAMES} latent frames, not {frames}.")
        line = tokens.permute(0, 2, 3, 1, 4).flatten(0, 2)  # [B H W, F, C]
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(self.norm(line) + self.position[:frames].to(line)).chunk(3, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        line = line + self.out(mixed)
        return line.view(batch, height, width, frames, channels).permute(0, 3, 1, 2, 4)


class Head(nn.Module):
    """Tokens of one stage to one logit per token, `[B, F, H, W]`."""

    def __init__(self, kind: str, channels: int, text_width: int, config: HeadsConfig):
        super().__init__()
        self.kind = kind
        self.enter = nn.Linear(channels, config.width)
        self.spatial = SpatialBlock(config.width) if kind != "temporal" else None
        self.temporal = (
            TemporalAttention(config.width, config.attention_heads) if kind in ("both", "temporal") else None
        )
        self.text = nn.Linear(text_width, config.width)
        self.logit = nn.Linear(config.width, 1)

    def forward(self, tokens: Tensor, pooled: Tensor) -> Tensor:
        if self.kind == "difference":
            # The first frame has nothing before it: against itself it differs by nothing.
            tokens = torch.diff(tokens, dim=1, prepend=tokens[:, :1])
        hidden = self.enter(F.layer_norm(tokens, tokens.shape[-1:]))
        if self.spatial is not None:
            hidden = self.spatial(hidden)
        if self.temporal is not None:
            hidden = self.temporal(hidden)
        hidden = F.silu(hidden)
        # Miyato and Koyama 2018: an unconditional logit plus the agreement with the condition.
        projected = self.text(pooled)[:, None, None, None] * hidden
        return self.logit(hidden)[..., 0] + projected.sum(-1) / hidden.shape[-1] ** 0.5


class Heads(nn.Module):
    """All trainable heads: features of every stage to logits `[B, F, H, W]` each."""

    def __init__(self, config: HeadsConfig, channels: int, text_width: int):
        super().__init__()
        self.config = config
        self.heads = nn.ModuleList(
            Head(kind, channels, text_width, config) for _ in config.stages for kind in config.kinds
        )

    def forward(self, features: Sequence[Tensor], pooled: Tensor) -> list[Tensor]:
        if len(features) != len(self.config.stages):
            raise ValueError(f"{len(self.config.stages)} stages have heads and {len(features)} came.")
        logits = []
        for index, head in enumerate(self.heads):
            logits.append(head(features[index // len(self.config.kinds)], pooled))
        return logits


def block_features(blocks: Sequence[nn.Module], stages: Sequence[int], velocity: Velocity) -> Features:
    """The outputs of chosen `blocks` of any transformer, without running what comes after the last of them.

    `velocity` runs the network that they belong to; a block's output is tokens `[B, F, H, W, C]`, or
    `[B, N, C]` in the order of F, H, W.
    """
    last = max(stages)
    if last >= len(blocks):
        raise ValueError(f"Stage {last} is asked for and the network has {len(blocks)} blocks.")

    def features(x: Tensor, times: Tensor, conditions: Conditions) -> list[Tensor]:
        found: dict[int, Tensor] = {}

        def keep(index: int) -> Callable[..., None]:
            def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
                tokens = output[0] if isinstance(output, tuple) else output
                if tokens.ndim == 3:
                    cells = tokens.shape[1] // x.shape[2]
                    height = round((cells * x.shape[3] / x.shape[4]) ** 0.5)  # patches keep the ratio
                    tokens = tokens.unflatten(1, (x.shape[2], height, cells // height))
                found[index] = tokens
                if index == last:
                    raise _Enough

            return hook

        handles = [blocks[i].register_forward_hook(keep(i)) for i in stages]
        try:
            velocity(x, times, conditions)
        except _Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return [found[i] for i in stages]

    return features


class _Enough(Exception):
    """Ends a forward pass after the last feature."""
