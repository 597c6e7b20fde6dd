"""A LoRA that the few-step command trained of LTX-Video or Wan loads whole in ComfyUI, and does something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from host.client import ComfyClient
from host.families import FAMILIES, install, sample
from host.graphs import node
from host.server import ComfyServer
from unit.training.published_case import write_case

COMMAND = "comfyui_pocketvideo.pocketvideo.training.fewstep"
HOSTS = {"ltxv": "ltxv", "wan": "wan21"}


@pytest.mark.parametrize("family", HOSTS)
def test_comfyui_loads_every_layer_of_a_trained_lora(
    host: ComfyServer, client: ComfyClient, tmp_path: Path, family: str
) -> None:
    install(host)
    name = f"{family}_few_step.safetensors"
    recipe = write_case(family, tmp_path)
    target = host.models / "loras" / name
    options = ["--recipe", str(recipe), "--run", str(tmp_path / "run"), "--output", str(target)]
    subprocess.run([sys.executable, "-m", COMMAND, *options], check=True, capture_output=True, timeout=300)
    before = len(host.log())

    def with_strength(strength: float) -> torch.Tensor:
        lora = node("LoraLoaderModelOnly", lora_name=name, strength_model=strength)
        return sample(host, client, FAMILIES[HOSTS[family]], model=[lora])

    plain = sample(host, client, FAMILIES[HOSTS[family]])
    assert torch.equal(with_strength(0.0), plain)
    adapted = with_strength(20.0)
    assert torch.isfinite(adapted).all() and (adapted - plain).abs().max() > 1e-3
    assert "lora key not loaded" not in host.log()[before:]
