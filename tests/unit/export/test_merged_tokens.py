"""What a merging graph is told merges as the desk does, for every size, share and given frame."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.engine.merging import MergeConfig, pair_arrays, similar_arrays
from comfyui_pocketvideo.pocketvideo.acceleration.merged_attention import MergeRule
from comfyui_pocketvideo.pocketvideo.acceleration.merging import pair_frames
from comfyui_pocketvideo.pocketvideo.acceleration.token_merge import BlockMerge, TokenMerger
from comfyui_pocketvideo.pocketvideo.export.merged_tokens import PairMerge, SimilarMerge

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "merging.json"
SIZES = list(itertools.product((2, 3, 5, 6), (1, 3), (1, 4)))


def tokens(frames: int, height: int, width: int, rows: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(frames + 10 * height + 100 * width)
    return torch.randn((rows, frames, height, width, 6), generator=generator)


def tensors(arrays: dict[str, np.ndarray]) -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in arrays.values()]


def as_one_row(merge: BlockMerge, x: torch.Tensor) -> torch.Tensor:
    """Merged tokens with their sizes and positions, in an order that does not depend on who merged."""
    flat = x.flatten(1, 3)
    merged = merge.merge(flat)
    table = torch.linspace(0, 1, flat.shape[1] * 3).view(-1, 3)
    cos, sin = merge.rotation(table.cos(), table.sin())
    cos, sin = (value.reshape(-1, value.shape[-2], 3).expand(len(x), -1, -1) for value in (cos, sin))
    size = torch.full_like(merged[..., :1], 2.0)
    if merge.sizes is not None:
        size = merge.sizes[..., None].expand(len(x), -1, 1)
    row = torch.cat((merged, cos, sin, size), dim=-1)
    order = row[..., 0].argsort(dim=1)
    return row.gather(1, order[..., None].expand_as(row))


def same(found: BlockMerge, expected: BlockMerge, x: torch.Tensor) -> None:
    torch.testing.assert_close(as_one_row(found, x), as_one_row(expected, x))
    flat = x.flatten(1, 3)
    torch.testing.assert_close(found.unmerge(found.merge(flat)), expected.unmerge(expected.merge(flat)))
    torch.testing.assert_close(found.key_bias(x).flatten().sort()[0], size_logs(expected, x))


def size_logs(merge: BlockMerge, x: torch.Tensor) -> torch.Tensor:
    if merge.sizes is not None:
        return merge.key_bias(x).flatten().sort()[0]
    return torch.full((merge.merge(x[:1].flatten(1, 3)).shape[1],), 2.0).log()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_pairs_merge_as_on_the_desk(size, keep):
    x = tokens(*size)
    pairs = pair_frames(size[0], keep_first_frame=keep)
    arrays = pair_arrays(size[0], keep)
    if not pairs:
        assert arrays is None
        return
    same(PairMerge(*tensors(arrays))(x), TokenMerger(pairs, MergeRule())(x), x)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.9, 1.0])
@pytest.mark.parametrize("size", SIZES)
def test_the_most_alike_merge_as_on_the_desk(size, share):
    for keep in (False, True):
        x = tokens(*size)
        pairs = pair_frames(size[0], keep_first_frame=keep)
        desk = TokenMerger(pairs, MergeRule(similar=True, share=share))(x)
        arrays = similar_arrays(*size, share, keep)
        flat = x.flatten(1, 3)
        if arrays is None:
            assert desk.merge(flat).shape == flat.shape
            continue
        same(SimilarMerge(*tensors(arrays))(x), desk, x)


def test_a_given_first_frame_is_kept_as_the_setting_keeps_it():
    kept = MergeConfig("pairs", 0.5, keep_first_frame=True).arrays((4, 2, 2))
    given = MergeConfig("pairs", 0.5).arrays((4, 2, 2), first_frame_given=True)
    assert kept is not None and given is not None
    assert all((kept[name] == given[name]).all() for name in kept)
    assert pair_frames(4, given={0}) == pair_frames(4, keep_first_frame=True) == (1,)


def test_the_window_is_open_at_its_end_and_forgives_rounding():
    config = MergeConfig("pairs", end=0.5, begin=0.8)
    assert [config.inside(sigma) for sigma in (0.9, 0.80001, 0.8, 0.6, 0.50001, 0.5, 0.4)] == [
        False,
        True,
        True,
        True,
        False,
        False,
        False,
    ]
    assert MergeConfig("pairs", end=0.0).inside(1.0)
    assert MergeConfig("pairs", end=0.0).inside(1e-6)


def test_nothing_to_merge_is_none():
    assert pair_arrays(1) is None
    assert pair_arrays(2, keep_first_frame=True) is None
    assert similar_arrays(2, 1, 3, 0.3) is None
    assert similar_arrays(1, 4, 4, 1.0) is None


def test_merged_tokens_are_those_of_the_golden_vectors():
    data = json.loads(VECTORS.read_text("utf-8"))
    cases = [case for case in data["cases"] if case["kind"] == "merge" and case["inputs"] is not None]
    assert {case["merge"]["mode"] for case in cases} == {"pairs", "similar"}
    for case in cases:
        x = torch.tensor(case["tokens"]).view(1, *case["grid"], case["channels"])
        config = MergeConfig.of({"component": "twin", **case["merge"]})
        kind = PairMerge if config.mode == "pairs" else SimilarMerge
        merge = kind(*tensors(config.arrays(case["grid"], case["first_frame_given"])))(x)
        merged = merge.merge(x.flatten(1, 3))
        torch.testing.assert_close(merged.flatten(), torch.tensor(case["merged"]))
        torch.testing.assert_close(merge.sizes.flatten(), torch.tensor(case["sizes"]))
        torch.testing.assert_close(merge.unmerge(merged).flatten(), torch.tensor(case["unmerged"]))
