"""Adapters read the checkpoints that ComfyUI reads, and compute what ComfyUI's own networks compute."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.engine.text import PromptTokenizer
from comfyui_pocketvideo.pocketvideo.export.adapters.opening import open_part
from comfyui_pocketvideo.pocketvideo.export.checkpoints import PartFile
from comfyui_pocketvideo.pocketvideo.export.stages import Component
from safetensors.torch import load_file
from torch import Tensor

from host.adapters_whitebox import PROMPTS
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


@pytest.mark.parametrize("name", ["ltxv", "ltxv_causal", "wan", "wan_given", "wan_timed"])
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


@pytest.mark.parametrize("name", ["ltxv_vae", "ltxv_vae_timed"])
def test_ltx_videos_autoencoder_computes_what_the_hosts_computes(made: Path, name: str) -> None:
    values = load_file(made / f"{name}.values.safetensors")
    path = made / f"{name}.safetensors"
    decoder = open_part(PartFile("ltxv", "vae_decoder", path)).component
    given = {key: values[key] for key in decoder.inputs}
    assert ("noise" in given) == name.endswith("timed")
    assert values["frames"].shape[2:] == (17, 96, 64)
    torch.testing.assert_close(chain(decoder, given), values["frames"], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(decoder.reference(**given), values["frames"], rtol=1e-4, atol=1e-4)
    encoder = open_part(PartFile("ltxv", "vae_encoder", path)).component
    found = chain(encoder, {"image": values["image"]})
    torch.testing.assert_close(found, values["encoded"], rtol=1e-4, atol=1e-4)


def in_pieces(path: Path, kinds: tuple[str, str], name: str, pieces: list[Tensor], made: str) -> Tensor:
    """What both halves of a network in pieces make of these, by the graphs' modules and by diffusers."""
    family = path.stem.removesuffix("_vae")
    first, later = (open_part(PartFile(family, kind, path)).component for kind in kinds)
    environment: dict[str, Tensor] = {}
    found = []
    for index, piece in enumerate(pieces):
        part = later if index else first
        environment[name] = piece
        given = {key: environment[key] for key in part.inputs}
        (stage,) = part.stages
        with torch.no_grad():
            out = stage.build()(*(given[key] for key in stage.inputs))
            for value, expected in zip(out, part.reference(**given), strict=True):
                torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-4)
        environment.update(zip(stage.outputs, out, strict=True))
        found.append(environment[made])
    return torch.cat(found, dim=2)


@pytest.mark.parametrize("name", ["wan_vae", "wan22_vae"])
def test_wans_autoencoders_make_the_hosts_video_piece_by_piece(made: Path, name: str) -> None:
    values = load_file(made / f"{name}.values.safetensors")
    path = made / f"{name}.safetensors"
    latents = list(values["latent"].split(1, dim=2))
    frames = in_pieces(path, ("vae_decoder", "vae_decoder_next"), "latent", latents, "frames")
    torch.testing.assert_close(frames, values["frames"], rtol=1e-4, atol=1e-4)
    clip = values["clip"]
    pieces = [clip[:, :, :1], *clip[:, :, 1:].split(4, dim=2)]
    encoded = in_pieces(path, ("vae_encoder_start", "vae_encoder_next"), "image", pieces, "latent")
    torch.testing.assert_close(encoded, values["encoded_clip"], rtol=1e-4, atol=1e-4)
    picture = open_part(PartFile(name.removesuffix("_vae"), "vae_encoder", path)).component
    found = chain(picture, {"image": clip[:, :, :1]})
    torch.testing.assert_close(found, values["encoded_picture"], rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(picture.reference(image=clip[:, :, :1]), found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["ltxv_text", "wan_text"])
def test_a_prompt_has_the_hosts_tokens_and_features(made: Path, name: str) -> None:
    values = load_file(made / f"{name}.values.safetensors")
    tokenizer = locate().comfyui / "comfy" / "text_encoders" / "t5_tokenizer" / "tokenizer.json"
    path = made / f"{name}.safetensors"
    opened = open_part(PartFile(name.partition("_")[0], "text_encoder", path, tokenizer=tokenizer))
    length, pad = opened.described["max_tokens"], opened.described["pad_id"]
    assert values["ids"].shape == (len(PROMPTS), length)
    device = PromptTokenizer(opened.files["tokenizer.json"].encode(), length, pad)
    encoded = [device.encode(prompt) for prompt in PROMPTS]
    ids, masks = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*encoded, strict=True))
    assert torch.equal(ids, values["ids"])
    found = chain(opened.component, {"input_ids": ids, "attention_mask": masks})
    expected = values["features"]
    if name == "ltxv_text":
        # What stands for padding is masked later. An end that is typed ends the text for the host alone.
        found, expected = (value[[0, 2]] * masks[[0, 2], :, None] for value in (found, expected))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        whole = opened.component.reference(input_ids=ids, attention_mask=masks)
    rows = [0, 2] if name == "ltxv_text" else [0, 1, 2]
    torch.testing.assert_close((whole * masks[..., None])[rows], expected, rtol=1e-4, atol=1e-4)
