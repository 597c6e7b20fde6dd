"""Plans of several sampling ops, zeroed text, tiles and animations, through the engine."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, write_bundle
from comfyui_pocketvideo.mobile_runtime.engine import EngineError, ProgressEvent, run_bundle
from comfyui_pocketvideo.mobile_runtime.engine.rng import normal
from comfyui_pocketvideo.mobile_runtime.engine.schedules import calculate_sigmas
from comfyui_pocketvideo.mobile_runtime.engine.video import to_frames
from PIL import Image

from unit.engine import small


def changed(folder: Path, change: Any, **options: Any) -> Bundle:
    """The small bundle with another plan."""
    small.build(folder, **options)
    manifest = small.manifest(**options)
    change(manifest, {op["id"]: op for op in manifest["plan"]})
    return write_bundle(folder, manifest)


def in_two(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
    """The sampler's schedule in two parts, the second of which draws no noise."""
    sample = ops["sample"]
    first = {**sample, "id": "first_part", "schedule": {**sample["schedule"], "end": 3}}
    sample |= {"noise": None, "latent": {"op": "first_part"}}
    sample["schedule"] = {**sample["schedule"], "start": 3}
    manifest["plan"].insert(manifest["plan"].index(sample), first)


def run(bundle: Bundle, folder: Path, **values: Any) -> Any:
    return run_bundle(bundle, {"steps": 7, "seed": 5, **values}, threads=1, output_dir=folder)


def test_two_parts_of_a_schedule_are_the_whole(tmp_path: Path) -> None:
    whole = run(small.build(tmp_path / "whole", from_photo=False), tmp_path)
    bundle = changed(tmp_path / "parts", in_two, from_photo=False)
    events: list[ProgressEvent] = []
    parts = run_bundle(
        bundle, {"steps": 7, "seed": 5}, threads=1, output_dir=tmp_path, progress=events.append
    )
    assert np.abs(parts.frames.astype(int) - whole.frames).max() <= 1
    assert parts.evaluations == whole.evaluations == 14
    assert [event.step for event in events if event.op == "first_part"] == [0, 1, 2, 3]
    assert [event.step for event in events if event.op == "sample"] == [0, 1, 2, 3, 4]
    # Fewer steps than the first part has: it goes to the end, and the second has nothing left to do.
    short, plain = (
        run(Bundle.open(tmp_path / name), tmp_path, steps=2).frames for name in ("parts", "whole")
    )
    assert np.array_equal(short, plain)


def test_the_latent_of_a_first_sampler_is_noised_and_sampled_again(tmp_path: Path) -> None:
    def again(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        sample, noise = ops["sample"], ops["noise"]
        first = {**sample, "id": "draft"}
        sample |= {"noise": {"op": "other"}, "latent": {"op": "draft"}}
        sample["schedule"] = {**sample["schedule"], "denoise": 0.5}
        at = manifest["plan"].index(sample)
        manifest["plan"][at:at] = [first, {**noise, "id": "other", "seed": "99"}]

    whole = run(small.build(tmp_path / "whole", from_photo=False), tmp_path)
    twice = run(changed(tmp_path / "twice", again, from_photo=False), tmp_path)
    assert twice.evaluations == 28
    assert not np.array_equal(twice.frames, whole.frames)


def test_two_experts_share_a_schedule(tmp_path: Path) -> None:
    """One network for much noise and another for little, as Wan 2.2 has them."""

    def experts(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        in_two(manifest, ops)
        first = manifest["components"]["denoiser"]
        stages = [{**stage, "weights": stage["weights"].replace("_0", "_1")} for stage in first["stages"]]
        manifest["components"]["denoiser_2"] = {**first, "stages": stages}
        ops["sample"]["component"] = "denoiser_2"

    result = run(changed(tmp_path / "experts", experts, guided=False, from_photo=False), tmp_path)
    numbers = small.weights()
    other = {**numbers, "block_0": numbers["block_1"]}
    context, mask = small.text_features(numbers, ["a", "red", "circle"])
    sigmas = calculate_sigmas("simple", 7, 3.0)
    x = sigmas[0] * normal(5, small.SHAPE)
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        time = np.full((1, small.SHAPE[2]), now, np.float32)
        x = x + (then - now) * small.velocity(other if step >= 3 else numbers, x, time, context, mask, 2.0)
    expected = to_frames(small.decode(numbers, x))
    assert np.abs(result.frames.astype(int) - expected).max() <= 1
    whole = run(small.build(tmp_path / "whole", guided=False, from_photo=False), tmp_path)
    assert not np.array_equal(result.frames, whole.frames)


def test_a_held_first_frame_comes_through_both_parts(tmp_path: Path) -> None:
    def held(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        in_two(manifest, ops)
        # Without leftover noise, so that the second part finds the frame clean.
        manifest["plan"][-4]["schedule"]["finish"] = True
        ops["sample"] |= {"first_frame": None, "keep_first_frame": True}

    bundle = changed(tmp_path / "held", held)
    result = run(bundle, tmp_path)
    whole = run(small.build(tmp_path / "whole"), tmp_path)
    assert np.abs(result.frames[0].astype(int) - whole.frames[0]).max() <= 1
    assert not np.array_equal(result.frames[1:], whole.frames[1:])


def test_zeroed_text_is_no_text(tmp_path: Path) -> None:
    def zeroed(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        zero = {"id": "zero", "op": "zero_text", "text": {"op": "positive"}, "keep_mask": False}
        manifest["plan"].insert(1, zero)
        ops["sample"]["positive"] = {"op": "zero"}

    bundle = changed(tmp_path / "zero", zeroed, guided=False, from_photo=False)
    a, b = run(bundle, tmp_path, prompt="a red circle"), run(bundle, tmp_path, prompt="red")
    assert np.array_equal(a.frames, b.frames)
    plain = run(small.build(tmp_path / "plain", guided=False, from_photo=False), tmp_path)
    assert not np.array_equal(a.frames, plain.frames)


def test_a_decoder_without_a_view_of_its_neighbours_is_the_same_in_tiles(tmp_path: Path) -> None:
    tiles = {"size": [2, 3, 4], "overlap": [1, 1, 2], "scale": [1, 1, 1]}

    def tiled(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        ops["frames"]["tiles"] = tiles

    events: list[ProgressEvent] = []
    bundle = changed(tmp_path / "tiled", tiled)
    result = run_bundle(
        bundle, {"steps": 7, "seed": 5}, threads=1, output_dir=tmp_path, progress=events.append
    )
    whole = run(small.build(tmp_path / "whole"), tmp_path)
    assert np.abs(result.frames.astype(int) - whole.frames).max() <= 1
    assert [event.step for event in events if event.op == "frames"][-1] == 1
    assert max(event.total for event in events if event.op == "frames") > 3


@pytest.mark.parametrize("lossless", [True, False])
def test_an_animated_webp_holds_the_frames_and_the_settings(tmp_path: Path, lossless: bool) -> None:
    def animated(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        ops["video"] |= {"fps": 12, "webp": {"lossless": lossless, "quality": 80, "effort": 4}}

    result = run(changed(tmp_path / "webp", animated), tmp_path / "out")
    assert result.video_path == tmp_path / "out" / "video.webp"
    with Image.open(result.video_path) as image:
        assert (image.format, image.n_frames, image.info["loop"]) == ("WEBP", len(result.frames), 0)
        assert b"a red circle" in image.info["xmp"]
        for index, frame in enumerate(result.frames):
            image.seek(index)
            found = np.asarray(image.convert("RGB"))
            # As ComfyUI's: whole milliseconds, rounded down.
            assert image.info["duration"] == 83
            if lossless:
                assert np.array_equal(found, frame)
            else:
                assert found.shape == frame.shape


def test_a_latent_of_another_size_is_refused(tmp_path: Path) -> None:
    def other(manifest: dict[str, Any], ops: dict[str, Any]) -> None:
        sample = ops["sample"]
        in_two(manifest, ops)
        sample["noise"] = {"op": "larger"}
        at = manifest["plan"].index(sample)
        manifest["plan"].insert(at, {**ops["noise"], "id": "larger", "shape": [1, 3, 5, 4, 6]})

    with pytest.raises(EngineError, match="shape"):
        run(changed(tmp_path / "other", other, from_photo=False), tmp_path)
