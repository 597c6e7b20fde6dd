"""The phone's engine in a real browser makes the video that the Python engine makes, within its budget."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr, write_bundle
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from PIL import Image

from browser.conftest import chromium
from phone_engine import heavy_video
from phone_engine.page import EnginePage, engine_page
from unit.engine import small

PLANS = ("wasm", "webgpu")
MB = 10**6


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small.build(tmp_path_factory.mktemp("light") / "bundle")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return heavy_video.build(tmp_path_factory.mktemp("heavy") / "bundle")


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def light_page(built: Path, light: Bundle, plan: str, tmp_path: Path) -> Iterator[EnginePage]:
    with engine_page(built, light, chromium(), tmp_path / "profile", gpu=plan == "webgpu") as page:
        page.open(plan)
        yield page


def expected(bundle: Bundle, values: dict[str, Any], folder: Path) -> np.ndarray:
    return run_bundle(bundle, values, threads=1, output_dir=folder).frames


def test_a_run_is_the_agents_run(light_page: EnginePage, light: Bundle, plan: str, tmp_path: Path) -> None:
    """Every op, both prompts, a photo; then a cancelled run, and the same again after it."""
    report = light_page.call("selfTest")
    assert {name: one["psnr"] > 100 for name, one in report.items()} == {
        "denoiser": True,
        "vae_decoder": True,
    }
    values = {"steps": 4, "seed": "7", "prompt": "  A red CIRCLE "}
    frames, told = light_page.run(values)
    truth = expected(light, values, tmp_path)
    assert frames.shape == truth.shape and truth.std() > 20
    assert np.abs(frames.astype(int) - truth.astype(int)).max() <= 1
    assert (told["fps"], told["webp"]) == (8, None)
    run = told["report"]
    assert run["plan"] == plan and run["evaluations"] == 8
    assert list(run["timings"]) == [op["id"] for op in light.manifest["plan"]]
    assert run["values"]["seed"] == "7" and run["values"]["photo"].startswith("sha256:")
    assert run["weights"]["denoiser"]["passes"] == 4, "two prompts side by side are one pass"
    check_progress(light_page.told(), steps=4)

    with pytest.raises(RuntimeError, match="Cancelled: The run was cancelled"):
        light_page.run(values, cancelAtStep=2)
    assert [one["step"] for one in light_page.told() if one["kind"] == "denoise"] == [0, 1, 2]
    again, second = light_page.run(values, expected=run["timings"])
    np.testing.assert_array_equal(again, frames)
    assert light_page.told()[0]["secondsLeft"] is not None, "an earlier run tells how long it takes"
    assert second["report"]["peakBytes"] == run["peakBytes"]

    for change in ({"seed": 8}, {"steps": 5}, {"motion": 9}, {"prompt": "a"}):
        assert not np.array_equal(light_page.run({**values, **change})[0], frames), change
    with pytest.raises(RuntimeError, match="InputError: The input 'steps' is 51 and must lie"):
        light_page.run({"steps": 51})


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "WebP"])
def test_what_a_photo_hides_below_its_transparency_is_the_desks(
    built: Path, mode: str, tmp_path: Path
) -> None:
    """A canvas would multiply its colours by nothing, and lose them."""
    small.build(tmp_path / "bundle")
    webp = mode == "WebP"
    # What is used of the wide one, its middle, lies in two of the pieces that are read.
    size = (12, 4090 if webp else 18, 4)
    photo = Image.fromarray(np.random.default_rng(3).integers(0, 256, size, dtype=np.uint8))
    photo.putalpha(0)
    flat = photo.convert("RGB").quantize(16) if mode == "P" else photo.convert("RGBA" if webp else mode)
    options: dict[str, Any] = {"format": "WebP", "lossless": True, "exact": True} if webp else {}
    flat.save(tmp_path / "bundle" / "photo.png", **({"transparency": 0} if mode == "P" else options))
    bundle = write_bundle(tmp_path / "bundle", small.manifest())
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.open("wasm")
        frames, _ = page.run({"steps": 2})
    truth = expected(bundle, {"steps": 2}, tmp_path)
    assert np.abs(frames.astype(int) - truth.astype(int)).max() <= 1
    with Image.open(tmp_path / "bundle" / "photo.png") as kept:
        assert kept.mode == flat.mode and np.asarray(kept.convert("RGB")).std() > 30


def check_progress(told: list[dict[str, Any]], steps: int) -> None:
    fractions = [one["fraction"] for one in told]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] > 0.99
    denoise = [one for one in told if one["kind"] == "denoise"]
    assert [one["step"] for one in denoise] == list(range(steps + 1))
    assert {one["total"] for one in denoise} == {steps}
    # Steps show what the network sees, and how long the rest takes.
    for one in denoise[1:]:
        assert one["secondsLeft"] >= 0
        assert (one["preview"]["width"], one["preview"]["height"]) == (6, 4)


def test_without_isolation_one_thread_does_the_same(built: Path, light: Bundle, tmp_path: Path) -> None:
    found = []
    for isolated, threads in ((True, 2), (False, 1)):
        profile = tmp_path / f"profile-{threads}"
        with engine_page(built, light, chromium(), profile, isolated=isolated) as page:
            assert page.page.evaluate("harness.isolated") is isolated
            # One of the two from the browser's own storage, as the app has it.
            if isolated:
                page.call("install")
            page.open("wasm", threads=2)
            asked = len(page.asked)
            frames, told = page.run()
            assert told["report"]["threads"] == threads
            assert (len(page.asked) == asked) is isolated
            found.append(frames)
    np.testing.assert_array_equal(*found)


def test_weights_are_streamed_within_the_budget(built: Path, heavy: Bundle, tmp_path: Path) -> None:
    """A budget changes no bit; what fits is held, and what does not fit at all is told in megabytes."""
    values = {"steps": 4}
    with engine_page(built, heavy, chromium(), tmp_path / "profile") as page:
        page.open("wasm", threads=1)
        frames, told = page.run(values)
        assert np.abs(frames.astype(int) - expected(heavy, values, tmp_path).astype(int)).max() <= 1
        free = told["report"]
        whole = free["weights"]["denoiser"]
        weights = heavy_video.BLOCKS * heavy_video.BLOCK_BYTES
        assert whole["streamed"] == 0 and whole["heldBytes"] > weights
        heap = free["peakBytes"] - whole["heldBytes"]

        # Room for the heap, two blocks on their way, and three that stay.
        budget = heap + int(5.5 * heavy_video.BLOCK_BYTES) + 4 * 2**20
        page.open("wasm", threads=1, budgetBytes=budget)
        asked = len(page.asked)
        some, told = page.run(values)
        np.testing.assert_array_equal(some, frames)
        denoiser = told["report"]["weights"]["denoiser"]
        assert told["report"]["peakBytes"] <= budget
        blocks = [entry["sha256"] for name, entry in heavy.files.items() if name.startswith("weights/block")]
        read = [sha for sha in page.asked[asked:] if sha in blocks]
        held = denoiser["heldBytes"] // heavy_video.BLOCK_BYTES
        assert 1 <= held <= 3 and denoiser["streamed"] >= heavy_video.BLOCKS - held
        # Layouts once, two passes of all, one that fetches what stays, and what streams after that.
        least = heavy_video.BLOCKS * 3 + (heavy_video.BLOCKS - held)
        assert least <= len(read) - heavy_video.BLOCKS <= least + 2

        page.open("wasm", threads=1, budgetBytes=heap + heavy_video.BLOCK_BYTES + 2**20)
        tight, told = page.run(values)
        np.testing.assert_array_equal(tight, frames)
        assert told["report"]["weights"]["denoiser"]["held"] <= 2, "only the two narrow layers fit"

        page.open("wasm", threads=1, budgetBytes=heap - heavy_video.BLOCK_BYTES)
        with pytest.raises(RuntimeError, match="BudgetError: The memory budget of") as refused:
            page.run(values)
        named = re.search(r"give at least (\d+) MB", str(refused.value))
        assert named is not None
        page.open("wasm", threads=1, budgetBytes=int(named[1]) * MB)
        np.testing.assert_array_equal(page.run(values)[0], frames)


def test_the_gpu_holds_two_blocks_at_most(built: Path, tmp_path: Path) -> None:
    bundle = heavy_video.build(tmp_path / "bundle", width=512)
    block = bundle.files["weights/block_0.safetensors"]["bytes"]
    with engine_page(built, bundle, chromium(), tmp_path / "profile", gpu=True) as page:
        page.open("webgpu")
        frames, told = page.run()
        assert psnr(frames, expected(bundle, {}, tmp_path)) > 50
        all_held = told["report"]["weights"]["denoiser"]
        assert all_held["streamed"] == 0 and all_held["gpuBytes"] > heavy_video.BLOCKS * (block - 1024)
        rest = told["report"]["peakBytes"] - all_held["gpuBytes"]
        # Two slots, what the engine keeps free, and no room for a third block.
        page.open("webgpu", budgetBytes=rest + int(2.5 * block) + 4 * 2**20)
        streamed, told = page.run()
        np.testing.assert_array_equal(streamed, frames)
        ring = told["report"]["weights"]["denoiser"]
        assert ring["streamed"] == heavy_video.BLOCKS
        assert block < ring["gpuBytes"] <= 2 * block + all_held["heldBytes"] - heavy_video.BLOCKS * block


@pytest.mark.parametrize("plan", PLANS)
def test_weights_of_eight_bits(built: Path, plan: str, tmp_path: Path) -> None:
    bundle = heavy_video.build(tmp_path / "bundle", blocks=2, width=64, bits=8)
    with engine_page(built, bundle, chromium(), tmp_path / "profile", gpu=plan == "webgpu") as page:
        page.open(plan)
        frames, _ = page.run()
    assert psnr(frames, expected(bundle, {}, tmp_path)) > 50


def test_a_browser_without_a_gpu_says_so(built: Path, light: Bundle, tmp_path: Path) -> None:
    with engine_page(built, light, chromium(), tmp_path / "profile") as page:
        with pytest.raises(RuntimeError, match="PlanError: This browser gives no GPU to web pages; make the"):
            page.open("webgpu")
        page.open("wasm")
        assert page.run()[0].shape == (4, 4, 6, 3)


def test_a_gpu_that_is_lost_ends_the_run_in_a_sentence(built: Path, tmp_path: Path) -> None:
    bundle = heavy_video.build(tmp_path / "bundle", width=256)
    with engine_page(built, bundle, chromium(), tmp_path / "profile", gpu=True) as page:
        page.open("webgpu")
        page.page.evaluate(
            f"void harness.run({{steps: {heavy_video.ENDLESS}}}).catch((error) => (globalThis.ended = error))"
        )
        page.wait_for("harness.told.some((one) => one.kind === 'denoise' && one.step > 1)")
        page.kill_gpu()
        page.wait_for("globalThis.ended")
        ended = page.page.evaluate("`${ended.name}: ${ended.message}`")
        assert re.match(r"DeviceLostError: The GPU was taken away while it worked.*; make", ended)
        page.open("wasm")
        assert page.run()[0].shape == (4, 4, 6, 3)


def test_files_that_are_damaged_are_named(built: Path, tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    weights = bundle.path("weights/block_1.safetensors")
    data = weights.read_bytes()
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.open("wasm")
        truth, _ = page.run()
        weights.write_bytes(data[:-1])
        page.open("wasm")
        with pytest.raises(RuntimeError, match=r"BundleError: The file \w{12} of the bundle has \d+ bytes"):
            page.run()
        weights.unlink()
        page.open("wasm")
        with pytest.raises(RuntimeError, match=r"was refused \(404\); fetch the bundle again"):
            page.run()
        # Other numbers in a file of the right form.
        weights.write_bytes(data[:-4] + np.float32(9).tobytes())
        page.open("wasm")
        with pytest.raises(RuntimeError, match="SelfTestError: The component 'denoiser' differs from its"):
            page.call("selfTest")
        weights.write_bytes(data)
        np.testing.assert_array_equal(page.run()[0], truth)
