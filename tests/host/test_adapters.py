"""Adapters read the checkpoints that ComfyUI reads, and compute what ComfyUI's own networks compute."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.export.adapters.opening import open_part
from comfyui_pocketvideo.pocketvideo.export.checkpoints import PartFile
from comfyui_pocketvideo.pocketvideo.export.stages import Component
from safetensors.torch import load_file
from torch import Tensor

from host.server import SHIM, locate

SCRIPT = Path(__file__).with_name("adapters_whitebox.py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the host's checkpoints and values."""
    paths, folder = locate(), tmp_path_factory.mktemp("adapters")
    environ = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(paths.python), str(SHIM), str(SCRIPT), str(paths.comfyui), str(folder)],
        capture_output=True,
        text=True,
        env=environ,
        cwd=paths.comfyui,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def chain(part: Component, values: dict[str, Tensor]) -> Tensor:
    """The component's stages in torch, one after the other, in export form."""
    values = dict(values)
    with torch.no_grad():
        for stage in part.stages:
            out = stage.build()(*(values[name] for name in stage.inputs))
            values.update(zip(stage.outputs, out if isinstance(out, tuple) else (out,), strict=True))
    return values[part.outputs[0]]


@pytest.mark.parametrize("name", ["ltxv", "ltxv_causal", "wan", "wan_given"])
def test_a_transformer_computes_what_the_hosts_computes(made: Path, name: str) -> None:
    values = load_file(made / f"{name}.values.safetensors")
    expected = values.pop("velocity")
    opened = open_part(PartFile(name.partition("_")[0], "denoiser", made / f"{name}.safetensors"))
    assert opened.component.inputs == tuple(key for key in opened.component.inputs if key in values)
    assert expected.std() > 0.01
    found = chain(opened.component, values)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        reference = opened.component.reference(**values)
    torch.testing.assert_close(reference, expected, rtol=1e-4, atol=1e-4)
