"""Merging inside our own network: a video in a batch is what it is alone."""

from __future__ import annotations

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.acceleration.merging import TokenGrid, merge_chosen, pair_frames
from comfyui_pocketvideo.pocketvideo.acceleration.token_merge import BlockMerge
from comfyui_pocketvideo.pocketvideo.models.attention import LinearAttention, SoftmaxAttention
from comfyui_pocketvideo.pocketvideo.models.rope import rope_3d

GRID = TokenGrid(5, 2, 3)
PAIRS = pair_frames(GRID.frames)
WIDTH, HEADS = 48, 2


@pytest.mark.parametrize("kind", [LinearAttention, SoftmaxAttention])
def test_a_row_that_merges_keeps_its_positions_beside_one_that_does_not(kind: type) -> None:
    """Both rows are then as long as before, and yet the tokens of one stand elsewhere."""
    torch.manual_seed(0)
    attention = kind(WIDTH, HEADS).eval()
    x = torch.randn(2, GRID.frames, GRID.height, GRID.width, WIDTH)
    cos, sin = rope_3d(GRID.frames, GRID.height, GRID.width, WIDTH // HEADS, grid=8, base=100.0)
    chosen = torch.zeros(2, len(PAIRS) * GRID.area, dtype=torch.bool)
    chosen[1, [0, 4, 7]] = True
    with torch.no_grad():
        together = attention(x, cos, sin, BlockMerge(merge_chosen(chosen, GRID, PAIRS)))
        plain = attention(x[:1], cos, sin)
        alone = attention(x[1:], cos, sin, BlockMerge(merge_chosen(chosen[1:], GRID, PAIRS)))
    assert torch.allclose(together[:1], plain, atol=1e-5)
    assert torch.allclose(together[1:], alone, atol=1e-5)
