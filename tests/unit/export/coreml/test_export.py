"""The folder that an export writes: index, hints, honesty about parity, cache, cancelling, the command."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.pocketvideo.export import ExportCancelled, ExportError, ParityError
from comfyui_pocketvideo.pocketvideo.export.coreml import CoreMLOptions, Sizes, parse_rules
from comfyui_pocketvideo.pocketvideo.export.coreml.__main__ import main
from comfyui_pocketvideo.pocketvideo.export.coreml.compress import block_size, palette
from comfyui_pocketvideo.pocketvideo.export.coreml.convert import convert_stage
from comfyui_pocketvideo.pocketvideo.export.coreml.sources import model_parts
from comfyui_pocketvideo.pocketvideo.export.coreml.writer import INDEX, export_coreml
from comfyui_pocketvideo.pocketvideo.models import PocketModel, save_model

from unit.export.conftest import tiny_model
from unit.export.coreml.mil import MilPackage, predict
from unit.export.coreml.mil.storage import unpack
from unit.export.coreml.packages import options

REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return tiny_model()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tmp_path_factory.mktemp("cache"))


def test_an_interrupted_export_goes_on_and_gives_the_same_files(
    model: PocketModel, cache: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = model_parts(model, ["denoiser"])
    stop = threading.Event()
    told: list[str] = []

    def watch(done: int, total: int, words: str) -> None:
        told.append(words)
        if "block_01" in words:
            stop.set()

    with pytest.raises(ExportCancelled):
        export_coreml(parts, tmp_path / "a", options(), cache_dir=cache, progress=watch, cancel=stop)
    assert list(tmp_path.iterdir()) == [], "a cancelled export leaves nothing beside the cache"
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("model.mlmodel")}
    assert len(kept) == 3, "prologue and two blocks were finished"
    with caplog.at_level(logging.WARNING):
        index = export_coreml(parts, tmp_path / "a", options(), cache_dir=cache)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    if sys.platform != "darwin":
        assert index["parity"].startswith("not checked") and "not checked" in caplog.text
        assert all(stage["parity_db"] is None for stage in index["components"]["denoiser"]["stages"])
    part, stage = parts[0].component, parts[0].component.stages[2]
    again = tmp_path / "again.mlpackage"
    convert_stage(part, stage, stage.build(), again, options=options(), length=32, units="cpuAndNeuralEngine")
    first = tmp_path / "a" / "denoiser" / "block_01.mlpackage"
    for file in (each for each in first.rglob("*") if each.is_file()):
        same = file.read_bytes() == (again / file.relative_to(first)).read_bytes()
        assert same, "the same network gives the same bytes"
    for name, (digest, size) in index["files"].items():
        data = (tmp_path / "a" / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, size)
        assert b"site-packages" not in data and str(REPOSITORY).encode() not in data
    assert json.loads((tmp_path / "a" / INDEX).read_text("utf-8")) == index


def test_the_index_says_how_to_run_the_packages(model: PocketModel, cache: Path, tmp_path: Path) -> None:
    chosen = options(units=["denoiser/block_00=cpuOnly"])
    index = export_coreml(
        model_parts(model, ["denoiser"]), tmp_path / "out", chosen, cache_dir=cache, predict=predict
    )
    assert index["parity"] == "checked" and index["deployment_target"] == "iOS18"
    part = index["components"]["denoiser"]
    hints = {Path(stage["package"]).stem: stage["compute_units"] for stage in part["stages"]}
    assert hints["block_00"] == "cpuOnly" and hints["block_01"] == "cpuAndNeuralEngine"
    rng = np.random.default_rng(3)
    dtypes = {name: each["dtype"] for name, each in part["activations"].items()}
    assert dtypes["tokens"] == "float16" and dtypes["timestep"] == dtypes["velocity"] == "float32"
    sizes = {"batch": 1, "frames": 2, "height": 3, "width": 4, "length": 32}
    values = {}
    for name in part["inputs"]:
        shape = [sizes.get(axis, axis) for axis in part["activations"][name]["axes"]]
        values[name] = rng.standard_normal(shape).astype(dtypes[name])
    for stage in part["stages"]:
        package = MilPackage(tmp_path / "out" / stage["package"])
        assert package.metadata["pocketvideo.computeUnits"] == stage["compute_units"]
        found = package.run({theirs: values[ours] for ours, theirs in stage["inputs"].items()})
        values |= {ours: found[theirs] for ours, theirs in stage["outputs"].items()}
    assert values["velocity"].shape == (1, 4, 2, 3, 4) and np.isfinite(values["velocity"]).all()


def test_a_package_that_differs_stops_the_export_with_component_stage_and_figure(
    model: PocketModel, cache: Path, tmp_path: Path
) -> None:
    def wrong(package: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        found = predict(package, arrays)
        if package.stem == "block_01":
            found = {name: value * np.float16(1.2) for name, value in found.items()}
        return found

    with pytest.raises(ParityError, match=r"denoiser .* stage block_01, output tokens: \d+\.\d dB"):
        export_coreml(
            model_parts(model, ["denoiser"]), tmp_path / "out", options(), cache_dir=cache, predict=wrong
        )
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_left_alone(model: PocketModel, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ExportError, match="holds other files"):
        export_coreml(model_parts(model, ["denoiser"]), tmp_path, options(), cache_dir=cache)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_the_command_exports_and_refuses_in_one_sentence(
    model: PocketModel, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "tiny.safetensors", tmp_path / "out"
    save_model(path, model)
    base = ["--model", str(path), "--out", str(out), "--cache", str(cache), "--components", "vae_encoder"]
    assert main([*base, "--latent", "2x3"]) == 1
    assert "FRAMESxHEIGHTxWIDTH" in capsys.readouterr().err
    assert main([*base, "--latent", "1x2x3", "--compress", "int3"]) == 1
    assert "int8, int4, palette4" in capsys.readouterr().err
    assert main([*base, "--latent", "1x2x3", "--precision", "vae_encoder=float32"]) == 0
    printed = capsys.readouterr()
    assert "1 packages" in printed.out and "parity" in printed.out
    index = json.loads((out / INDEX).read_text("utf-8"))
    assert index["components"]["vae_encoder"]["precision"] == "float32"
    random = ["--random-weights", "--model", "nothing", "--out", str(out), "--latent", "1x2x3"]
    assert main(random) == 1
    assert "mobilei2v_270m" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("coremltools", r'needs the package coremltools, .*pip install "pocketvideo\[coreml\]"'),
        ("coremltools.libmilstoragepython", "built from source .*; export on Linux or macOS"),
    ],
)
def test_without_coremltools_the_command_says_what_to_install(
    model: PocketModel, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str, words: str
) -> None:
    path = tmp_path / "tiny.safetensors"
    save_model(path, model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, missing, None)
        assert main(["--model", str(path), "--latent", "1x2x3", "--out", str(tmp_path / "out")]) == 1
    assert re.search(words, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "kind", "varying", "checked"),
    [
        ("4x12x12", "fixed", (), ((4, 12, 12),)),
        ("4x12x12,7x12x16", "enumerated", ("frames", "width"), ((4, 12, 12), (7, 12, 16))),
        ("1x4x4..13x32x4", "range", ("frames", "height"), ((1, 4, 4), (7, 18, 4))),
        ("2x3x4..2x3x4", "fixed", (), ((2, 3, 4),)),
    ],
)
def test_sizes_are_read(text: str, kind: str, varying: tuple, checked: tuple) -> None:
    sizes = Sizes.parse(text)
    assert (sizes.kind, sizes.varying, sizes.checked()) == (kind, varying, checked)


@pytest.mark.parametrize(
    "text", ["", "4x12", "0x4x4", "4x4x5000", "4x4x4,4x4x4", "9x4x4..3x4x4", "4x4x4..5x5x5..6x6x6", "axbxc"]
)
def test_sizes_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ExportError):
        Sizes.parse(text)


def test_the_last_rule_that_matches_wins() -> None:
    rules = parse_rules(["int4", "denoiser/epilogue=none", "vae_*=int8"])
    chosen = CoreMLOptions(Sizes.parse("1x2x3"), compression=rules)
    found = [
        chosen.compression_of(*name)
        for name in (("denoiser", "block_00"), ("denoiser", "epilogue"), ("vae_decoder", "decoder"))
    ]
    assert found == ["int4", "none", "int8"]


def test_palette_places_values_by_k_means() -> None:
    levels = np.linspace(-1, 1, 16)
    weight = np.repeat(levels, 50).astype(np.float16).reshape(20, 40)
    table, indices = palette(weight)
    np.testing.assert_array_equal(table[indices].reshape(weight.shape), weight)
    skewed = np.random.default_rng(1).standard_normal((16, 192)).astype(np.float16)
    skewed[0, 0] = 40
    table, indices = palette(skewed)
    even = np.linspace(skewed.min(), skewed.max(), 16)
    nearest = even[np.abs(skewed[..., None] - even).argmin(-1)]
    error = np.square(table[indices].reshape(skewed.shape) - skewed).mean()
    assert error < 0.05 * np.square(nearest - skewed).mean()


def test_blocks_of_four_bits_divide_the_inputs() -> None:
    assert [block_size(inputs) for inputs in (192, 360, 1152, 7)] == [32, 30, 32, 7]


def test_the_interpreter_unpacks_low_bits_first() -> None:
    assert unpack(bytes([0x21, 0xF8]), 4, True, 4).tolist() == [1, 2, -8, -1]
    assert unpack(bytes([0x21, 0xF8]), 4, False, 4).tolist() == [1, 2, 8, 15]
