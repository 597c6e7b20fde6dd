"""A whole small bundle through the engine equals the same computation written out in numpy."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import (
    Cancelled,
    EngineError,
    InputError,
    ProgressEvent,
    SelfTestError,
    run_bundle,
    self_test,
)
from comfyui_pocketvideo.mobile_runtime.engine.image import crop_and_resize, decode_photo
from comfyui_pocketvideo.mobile_runtime.engine.rng import normal
from comfyui_pocketvideo.mobile_runtime.engine.schedules import calculate_sigmas
from comfyui_pocketvideo.mobile_runtime.engine.video import to_frames

from unit.engine import small


def reference(steps: int, seed: int, motion: float, guided: bool, from_photo: bool) -> np.ndarray:
    """The frames that the bundle should give, without the engine's flow, components or plan."""
    numbers = small.weights()
    positive, mask = small.text_features(numbers, ["a", "red", "circle"])
    negative, no_mask = small.text_features(numbers, [])
    noise = normal(seed, small.SHAPE)
    sigmas = calculate_sigmas("simple", steps, 3.0)
    clean = None
    if from_photo:
        pixels = crop_and_resize(decode_photo(small.photo()), 6, 4)
        clean = small.encode(numbers, (pixels * 2 - 1).transpose(2, 0, 1)[None, :, None])
    x = sigmas[0] * noise
    for now, then in itertools.pairwise(sigmas):
        seen, time = x.copy(), np.full((1, small.SHAPE[2]), now, np.float32)
        if clean is not None:
            seen[:, :, :1], time[:, 0] = clean, 0
        denoised = seen - now * small.velocity(numbers, seen, time, positive, mask, motion)
        if guided:
            other = seen - now * small.velocity(numbers, seen, time, negative, no_mask, motion)
            denoised = other + (denoised - other) * np.float32(3)
        if clean is not None:
            denoised[:, :, :1] = clean
        x = x + (x - denoised) / now * (then - now)
    return to_frames(small.decode(numbers, x))


@pytest.mark.parametrize(
    ("guided", "from_photo"), [(True, True), (True, False), (False, False), (False, True)]
)
@pytest.mark.parametrize("batch_guidance", [False, True])
def test_a_run_equals_its_formulas(
    tmp_path: Path, guided: bool, from_photo: bool, batch_guidance: bool
) -> None:
    bundle = small.build(tmp_path / "bundle", guided=guided, from_photo=from_photo)
    result = run_bundle(
        bundle,
        {"steps": 4, "seed": "7"},
        threads=1,
        output_dir=tmp_path / "out",
        batch_guidance=batch_guidance,
    )
    expected = reference(4, 7, 2.0, guided, from_photo)
    assert result.frames.shape == (4, 4, 6, 3) and result.frames.dtype == np.uint8
    assert np.abs(result.frames.astype(int) - expected.astype(int)).max() <= 1
    assert expected.std() > 20
    assert result.evaluations == (8 if guided else 4)
    assert list(result.timings) == [op["id"] for op in bundle.manifest["plan"]]
    assert result.peak_rss_bytes is not None and result.peak_rss_bytes > 2**20


def test_inputs_change_the_video_and_defaults_are_used(tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")

    def run(**values: Any) -> np.ndarray:
        return run_bundle(bundle, values, threads=1, output_dir=tmp_path / "out").frames

    plain = run()
    assert np.array_equal(plain, run(seed=2**64 - 1, steps=3, motion=2, prompt="a red circle"))
    for change in ({"seed": 1}, {"steps": 9}, {"motion": 9.5}, {"prompt": "a"}):
        assert not np.array_equal(plain, run(**change)), change
    assert np.array_equal(plain, run(prompt="  A Red CIRCLE "))


def test_a_photo_sets_the_first_frame(tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    result = run_bundle(bundle, {"photo": small.photo()}, threads=1, output_dir=tmp_path / "out")
    numbers = small.weights()
    pixels = crop_and_resize(decode_photo(small.photo()), 6, 4)
    image = (pixels * 2 - 1).transpose(2, 0, 1)[None, :, None]
    first = to_frames(small.decode(numbers, small.encode(numbers, image)))
    assert np.abs(result.frames[:1].astype(int) - first.astype(int)).max() <= 1


def test_the_video_file_holds_the_frames_and_the_settings(tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    result = run_bundle(bundle, {"seed": 5, "prompt": "red"}, threads=1, output_dir=tmp_path / "out")
    assert result.video_path == tmp_path / "out" / "video.mp4"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["video.mp4"]
    with av.open(str(result.video_path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height, stream.average_rate) == (6, 4, 8)
        settings = small.loads(container.metadata["comment"])
        assert len(list(container.decode(stream))) == 4
    assert settings["bundle"] == bundle.id
    assert settings["values"]["seed"] == "5" and settings["values"]["prompt"] == "red"
    assert settings["values"]["photo"].startswith("sha256:")
    assert result.values == settings["values"]


def test_progress_tells_every_step_with_a_preview(tmp_path: Path) -> None:
    events: list[ProgressEvent] = []
    bundle = small.build(tmp_path / "bundle")
    run_bundle(bundle, {"steps": 5}, threads=1, progress=events.append, output_dir=tmp_path / "out")
    sampling = [event for event in events if event.op == "sample"]
    assert [(event.step, event.total) for event in sampling] == [(step, 5) for step in range(6)]
    preview = sampling[-1].preview
    assert preview is not None and preview.shape == (4, 6, 3) and preview.dtype == np.uint8
    assert sampling[-1].fraction == 1.0
    assert {event.op for event in events} == {op["id"] for op in bundle.manifest["plan"]}
    done = {event.op: event for event in events}
    assert all(event.step == event.total for event in done.values())


def test_cancelling_stops_within_one_evaluation(tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    cancel = threading.Event()
    events: list[ProgressEvent] = []

    def progress(event: ProgressEvent) -> None:
        events.append(event)
        if event.op == "sample" and event.step == 2:
            cancel.set()

    with pytest.raises(Cancelled, match="was cancelled"):
        run_bundle(
            bundle, {"steps": 50}, threads=1, progress=progress, cancel=cancel, output_dir=tmp_path / "out"
        )
    assert events[-1].step == 2
    assert not (tmp_path / "out").exists()


def test_cancelling_between_blocks_of_one_evaluation(tmp_path: Path) -> None:
    from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component, SessionOptions

    bundle = small.build(tmp_path / "bundle")
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            raise Cancelled("enough")

    feeds = {
        "latent": np.zeros(small.SHAPE, np.float32),
        "timestep": np.zeros((1, 4), np.float32),
        "context": np.zeros((1, 6, 3), np.float32),
        "context_mask": np.ones((1, 6), np.float32),
        "motion": np.zeros(1, np.float32),
    }
    with pytest.raises(Cancelled):
        Component(bundle, "denoiser", SessionOptions(1)).run(feeds, check)
    assert checks == 3


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"colour": "red"}, "no input 'colour'"),
        ({"prompt": 3}, "'prompt' must be a text"),
        ({"prompt": "x" * 101}, "has 101 characters and may have 100"),
        ({"prompt": "\ud800"}, "broken character"),
        ({"seed": -1}, "0 to 2.64-1"),
        ({"seed": 2**64}, "0 to 2.64-1"),
        ({"seed": "1e3"}, "0 to 2.64-1"),
        ({"seed": True}, "0 to 2.64-1"),
        ({"steps": 0}, "between 1 and 50"),
        ({"steps": 51}, "between 1 and 50"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"motion": float("nan")}, "between 0.0 and 10.0"),
        ({"motion": "fast"}, "must be a number"),
        ({"photo": "/etc/passwd"}, "must be a photo"),
        ({"photo": "workflow.json"}, "must be a photo"),
        ({"photo": b"not a picture"}, "neither PNG"),
        ({"photo": b"\x89PNG\r\n\x1a\n" + b"\0" * 40}, "cannot be decoded"),
    ],
)
def test_wrong_values_are_refused_in_a_sentence(
    tmp_path: Path, values: dict[str, Any], sentence: str
) -> None:
    bundle = small.build(tmp_path / "bundle")
    with pytest.raises(InputError, match=sentence) as caught:
        run_bundle(bundle, values, threads=1, output_dir=tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_the_self_test_passes_and_measures(tmp_path: Path) -> None:
    reports = self_test(small.build(tmp_path / "bundle"), threads=1)
    assert reports.keys() == {"denoiser", "vae_decoder"}
    assert all(report.psnr >= report.min_psnr == 60 and report.seconds > 0 for report in reports.values())


def test_the_self_test_names_the_component_that_differs(tmp_path: Path) -> None:
    numbers = small.weights()
    small.build(tmp_path / "bundle", numbers=numbers)
    numbers["vae_decoder"]["gain"] *= np.float32(1.1)
    small.save(tmp_path / "bundle/weights/vae_decoder.safetensors", numbers["vae_decoder"])
    # The changed file has the old length, so only the digest and the self-test can tell.
    with pytest.raises(SelfTestError, match=r"'vae_decoder' differs .* dB, needs 60.0 dB"):
        self_test(Bundle.open(tmp_path / "bundle"), threads=1)


def test_a_graph_that_wants_what_nobody_gives_is_named(tmp_path: Path) -> None:
    small.build(tmp_path / "bundle")
    path = tmp_path / "bundle/weights/block_1.safetensors"
    size = path.stat().st_size
    small.save(path, {"gaim": np.array([1], np.float32), "offset": np.array([1], np.float32)})
    assert path.stat().st_size == size
    with pytest.raises(EngineError, match=r"stage 2 \(block\) of the component 'denoiser' needs 'gain'"):
        run_bundle(Bundle.open(tmp_path / "bundle"), threads=1, output_dir=tmp_path / "out")


def test_weights_of_the_wrong_type_are_refused(tmp_path: Path) -> None:
    small.build(tmp_path / "bundle")
    path = tmp_path / "bundle/weights/vae_decoder.safetensors"
    size = path.stat().st_size
    small.save(path, {"gain": np.array([1], np.int32)})
    assert path.stat().st_size == size
    with pytest.raises(EngineError, match=r"needs 'gain' as tensor\(float\) and its weights give int32"):
        run_bundle(Bundle.open(tmp_path / "bundle"), threads=1, output_dir=tmp_path / "out")


def test_weights_are_views_of_the_mapped_file(tmp_path: Path) -> None:
    from comfyui_pocketvideo.mobile_runtime.engine.streaming.weights import MappedWeights

    source = MappedWeights(small.build(tmp_path / "bundle"))
    gain = source.take("weights/block_0.safetensors")["gain"]
    assert not gain.flags.owndata and not gain.flags.writeable
    assert source.take("weights/block_0.safetensors")["gain"] is gain
