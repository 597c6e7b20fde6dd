"""The floor of the phone's bench is a network of products that both engines run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("in_browser", "in_browser.products", "in_browser.videos"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_floor_is_products_and_nothing_else(tmp_path: Path) -> None:
    from in_browser.products import BLOCKS, products

    bundle = products(tmp_path, (2, 3, 4), 16, 80)
    assert self_test(bundle, threads=1)["denoiser"].psnr > 100
    stages = bundle.manifest["components"]["denoiser"]["stages"]
    blocks = [stage["weights"] for stage in stages if stage["graph"] == "block"]
    assert len(set(blocks)) == BLOCKS
    made = run_bundle(bundle, {"steps": 2}, threads=1, output_dir=tmp_path / "out")
    assert made.frames.shape == (2, 3, 4, 3)
