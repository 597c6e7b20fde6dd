"""Where is a merged token? Ways to place it, on pocket_shapes, each compared with sampling without a merge.

`python benchmarks/bench_merge_rope.py`. Frame pairs merge in the first half of 30 Euler steps. The position
of a merged token can be the midpoint of its members, the first one's, or counted anew over the merged frames
(as On-device Sora's code does); or queries and keys are turned first and merged then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import torch
from comfyui_pocketvideo.pocketvideo.acceleration.merging import TokenGrid, merge_all, pair_frames
from comfyui_pocketvideo.pocketvideo.acceleration.token_merge import BlockMerge
from comfyui_pocketvideo.pocketvideo.eval.metrics import motion_ratio, psnr
from comfyui_pocketvideo.pocketvideo.models import Denoiser, PocketModel, load_model
from comfyui_pocketvideo.pocketvideo.models.attention import (
    LinearAttention,
    SoftmaxAttention,
    join_heads,
    split_heads,
)
from comfyui_pocketvideo.pocketvideo.models.rope import apply_rope
from comfyui_pocketvideo.pocketvideo.models.sampling import sample_euler, shifted_sigmas
from comfyui_pocketvideo.pocketvideo.training.data.shapes import held_out_prompts
from report import ROOT, Bar, finish
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

MODEL = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
STEPS = 30
BATCH = 8
Merger = Callable[[Tensor], BlockMerge]


class FirstPosition(BlockMerge):
    """A merged token stands where its first member stood."""

    def rotation(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        return self._merging.members(cos)[0], self._merging.members(sin)[0]


class CountedAnew(BlockMerge):
    """Merged frames are numbered 0, 1, 2, ..., as in the paper's code."""

    def rotation(self, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        return cos[: self._merging.after], sin[: self._merging.after]


class Unweighted(BlockMerge):
    """Midpoint positions, but a merged token counts once."""

    @property
    def sizes(self) -> None:
        return None


class AfterRope(BlockMerge):
    """Leaves the tokens to the attentions below, which merge what RoPE has turned."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=16)
    arguments = parser.parse_args()
    model = load_model(MODEL)
    base = sample(model, arguments.prompts, None)
    ways: list[tuple[str, type[BlockMerge], bool]] = [
        ("midpoint", BlockMerge, False),
        ("midpoint, first frame kept", BlockMerge, True),
        ("midpoint, a merged token counts once", Unweighted, False),
        ("first member's", FirstPosition, False),
        ("counted anew", CountedAnew, False),
        ("merged after RoPE", AfterRope, False),
        ("merged after RoPE, first frame kept", AfterRope, True),
    ]
    rows = []
    for name, kind, keep_first in ways:
        with after_rope(model.denoiser, kind is AfterRope):
            clips = sample(model, arguments.prompts, merger(kind, keep_first))
        pairs = list(zip(base, clips, strict=True))
        rows.append(
            {
                "position of a merged token": name,
                "PSNR to base, dB": sum(psnr(a, b) for a, b in pairs) / len(pairs),
                "motion ratio": sum(motion_ratio(a, b) for a, b in pairs) / len(pairs),
            }
        )
    best = max(row["PSNR to base, dB"] for row in rows)
    chosen = rows[0]["PSNR to base, dB"]
    bar = Bar(
        "the midpoint is as near to the base as the best way",
        f"{chosen:.2f} of {best:.2f} dB",
        "within 0.3 dB",
        chosen > best - 0.3,
    )
    return finish("merge-rope", rows, [bar], settings={"steps": STEPS, "prompts": arguments.prompts})


def merger(kind: type[BlockMerge], keep_first: bool) -> Merger:
    """Pairs of consecutive frames, placed in one way."""

    def decide(x: Tensor) -> BlockMerge:
        grid = TokenGrid(*x.shape[1:4])
        return kind(merge_all(grid, pair_frames(grid.frames, (), keep_first)))

    return decide


def sample(model: PocketModel, count: int, merge: Merger | None) -> list[Tensor]:
    """Clips `[T, H, W, 3]` in 0..1 of held-out prompts."""
    defaults, vae = model.defaults, model.vae
    specs = held_out_prompts(count)
    shape = (
        vae.latent_channels,
        vae.latent_frames(defaults["frames"]),
        defaults["height"] // vae.spatial_compression,
        defaults["width"] // vae.spatial_compression,
    )
    clips: list[Tensor] = []
    for begin in tqdm(range(0, count, BATCH)):
        window = specs[begin : begin + BATCH]
        n = len(window)
        noise = torch.randn((n, *shape), generator=torch.Generator().manual_seed(1234 + begin))
        context, mask = model.encode_text([spec.caption for spec in window] + [""] * n)
        scores = torch.tensor([spec.motion_score for spec in window] * 2, dtype=torch.float32)

        def velocity(
            x: Tensor, times: Tensor, context: Tensor = context, mask: Tensor = mask, scores: Tensor = scores
        ) -> Tensor:
            early = merge if float(times.max()) > 0.5 + 1e-4 else None
            both = model.denoiser(
                x.repeat(2, 1, 1, 1, 1), times.repeat(2, 1), context, mask, scores, merge=early
            )
            asked, unasked = both.chunk(2)
            return unasked + defaults["guidance"] * (asked - unasked)

        with torch.no_grad():
            videos = vae.decode(sample_euler(velocity, noise, shifted_sigmas(STEPS, defaults["shift"])))
        clips += [((video.permute(1, 2, 3, 0) + 1) / 2).clamp(0, 1) for video in videos]
    return clips


@contextmanager
def after_rope(denoiser: Denoiser, active: bool) -> Iterator[None]:
    """Self-attentions that turn all tokens by RoPE and merge queries, keys and values then."""
    forwards = {LinearAttention: _linear_after_rope, SoftmaxAttention: _softmax_after_rope}
    modules = [block.attn for block in denoiser.blocks] if active else []
    for module in modules:
        module.forward = partial(forwards[type(module)], module)
    try:
        yield
    finally:
        for module in modules:
            del module.forward


def _linear_after_rope(
    self: LinearAttention, x: Tensor, cos: Tensor, sin: Tensor, merge: BlockMerge
) -> Tensor:
    if merge is None:
        return LinearAttention.forward(self, x, cos, sin)
    q, k, v = self.qkv(x.flatten(1, 3)).chunk(3, dim=-1)
    q, k, v = (split_heads(y, self.heads).float() for y in (self.q_norm(q), self.k_norm(k), v))
    cos, sin = cos.flatten(0, 2), sin.flatten(0, 2)
    q, k = (merge.merge(apply_rope(y, cos, sin)).relu() for y in (q, k))
    v = merge.merge(v)
    if merge.sizes is not None:
        k = k * merge.sizes[:, None, :, None]
    weight = q @ k.sum(dim=-2, keepdim=True).transpose(-1, -2)
    out = (q @ (k.transpose(-1, -2) @ v)) / (weight + 1e-8)
    return merge.unmerge(self.proj(join_heads(out))).view_as(x)


def _softmax_after_rope(
    self: SoftmaxAttention, x: Tensor, cos: Tensor, sin: Tensor, merge: BlockMerge
) -> Tensor:
    if merge is None:
        return SoftmaxAttention.forward(self, x, cos, sin)
    q, k, v = (split_heads(y, self.heads) for y in self.qkv(x.flatten(1, 3)).chunk(3, dim=-1))
    cos, sin = cos.flatten(0, 2), sin.flatten(0, 2)
    q, k, v = (merge.merge(y) for y in (apply_rope(q, cos, sin), apply_rope(k, cos, sin), v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=merge.key_bias(q))
    return merge.unmerge(self.proj(join_heads(out))).view_as(x)


if __name__ == "__main__":
    sys.exit(main())
