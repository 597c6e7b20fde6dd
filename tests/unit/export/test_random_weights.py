"""Architectures without weights: pieces that are made one at a time are one network, and its bundle runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import EngineError, run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export import ExportError
from comfyui_pocketvideo.pocketvideo.export.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.precision import parse_precision
from comfyui_pocketvideo.pocketvideo.export.random_bundle import export_random
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS, RandomWeights
from comfyui_pocketvideo.pocketvideo.models import Denoiser, DenoiserConfig

TINY = DenoiserConfig(in_channels=4, width=24, depth=3, heads=2, mlp_hidden=16, softmax_every=3)


def meta_network() -> Denoiser:
    with torch.device("meta"):
        return Denoiser(TINY).eval().requires_grad_(False)


def test_pieces_made_at_different_times_are_the_pieces_of_one_network() -> None:
    network = meta_network()
    weights = RandomWeights(network, 3)
    whole = weights.real(network)
    piece = weights.real(network.blocks[1])
    for name, value in piece.named_parameters():
        assert not value.is_meta
        assert torch.equal(value, whole.get_parameter(f"blocks.1.{name}")), name
    assert all(value.is_meta for value in network.parameters())
    assert not torch.equal(whole.blocks[0].attn.qkv.weight, whole.blocks[1].attn.qkv.weight)
    other = RandomWeights(network, 4).real(network.blocks[1])
    assert not torch.equal(other.attn.qkv.weight, piece.attn.qkv.weight)


def test_blocks_that_are_made_as_they_run_compute_what_the_whole_network_computes() -> None:
    network = meta_network()
    weights = RandomWeights(network, 3)
    latent, time = torch.randn(1, 4, 2, 3, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0.4])
    lazy = weights.lazily(network, "blocks")
    assert not list(lazy.blocks.parameters()), "no block has weights before it runs"
    with torch.no_grad():
        expected = weights.real(network)(latent, time)
        assert torch.equal(lazy(latent, time), expected)
    # A device's numbers say nothing about an architecture whose signal dies or explodes on the way.
    assert 0.1 < expected.std() < 10


def test_a_preset_becomes_a_bundle_that_proves_itself_and_makes_no_video(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    status = main(
        ["--model", "pocket_shapes", "--random-weights", "--out", str(tmp_path / "a"), "--cache", str(cache)]
    )
    assert status == 0
    bundle = Bundle.open(tmp_path / "a")
    bundle.verify()
    assert self_test(bundle, threads=2)["denoiser"].psnr > 60
    assert bundle.manifest["memory"]["activations_estimate"] > 100_000
    with pytest.raises(EngineError, match="no plan"):
        run_bundle(bundle, output_dir=tmp_path / "out")
    steps: list[tuple[int, int]] = []
    again = export_random(
        "pocket_shapes",
        tmp_path / "a",
        cache_dir=cache,
        progress=lambda done, total, _: steps.append((done, total)),
    )
    assert again.id == bundle.id, "the same seed gives the same bundle, and replaces the old one"
    assert steps[0][0] == 0 and steps[-1][0] == steps[-1][1]
    lower = export_random(
        "pocket_shapes", tmp_path / "a", cache_dir=cache, precision=parse_precision("denoiser=int4")
    )
    levels = [stage["precision"] for stage in lower.manifest["components"]["denoiser"]["stages"]]
    assert levels == ["int8", *["int4"] * 8, "int8"]
    assert lower.manifest["memory"]["weights"] < 0.25 * bundle.manifest["memory"]["weights"]
    assert self_test(lower, threads=2)["denoiser"].psnr >= 25
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "cache"]


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"no preset mobile.*mobilei2v_270m"):
        export_random("mobile", tmp_path / "out", cache_dir=tmp_path / "cache")
    (tmp_path / "own.txt").write_text("mine")
    with pytest.raises(ExportError, match="holds other files"):
        export_random("pocket_shapes", tmp_path, cache_dir=tmp_path / "cache")
    assert (tmp_path / "own.txt").read_text() == "mine"
    with pytest.raises(SystemExit):
        main(["--model", "pocket_shapes", "--out", str(tmp_path / "b")])


def test_a_failed_export_leaves_the_old_bundle(tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "manifest.json").write_text("{}")

    def stop(done: int, total: int, words: str) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_random("pocket_shapes", target, cache_dir=tmp_path / "cache", progress=stop)
    assert (target / "manifest.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "cache"]


def test_the_published_size_is_the_presets_size() -> None:
    part = RANDOM_PRESETS["mobilei2v_270m"].component(0)
    assert [stage.graph for stage in part.stages].count("linear") == 14
    assert RANDOM_PRESETS["mobilei2v_270m"].grid(17, 256, 448) == (3, 8, 14)
