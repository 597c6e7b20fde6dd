"""Model files: one safetensors file in and out, and everything that must be refused."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.models import (
    MOBILEI2V_270M,
    Denoiser,
    ModelFileError,
    PocketModel,
    build_model,
    load_model,
    save_model,
)
from comfyui_pocketvideo.pocketvideo.models.convert import load_mobilei2v, main, read_mobilei2v
from safetensors.torch import load_file, save_file


@pytest.fixture(scope="module")
def model() -> PocketModel:
    return build_model("pocket_shapes", seed=5)


@pytest.fixture
def saved(model: PocketModel, tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    save_model(path, model, torch.float32)
    return path


def test_a_saved_model_does_the_same(model: PocketModel, saved: Path) -> None:
    again = load_model(saved)
    latent = torch.randn(1, 24, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    outputs = []
    for one in (model, again):
        context, mask = one.encode_text(["a red circle moves left"])
        video = one.vae.decode(latent)
        outputs.append(
            (one.denoiser(latent, torch.tensor([0.5]), context, mask), video, one.vae.encode(video))
        )
    for before, after in zip(*outputs, strict=True):
        torch.testing.assert_close(after, before)


def test_one_file_names_its_parts_and_carries_its_config(saved: Path) -> None:
    prefixes = {key.split(".")[0] for key in load_file(saved)}
    assert prefixes == {"denoiser", "vae", "text_encoder"}
    assert load_model(saved).config["tokenizer"]


@pytest.mark.parametrize("frames", [1, 5, 17, 33])
def test_the_vae_keeps_4n_plus_1_frames(model: PocketModel, frames: int) -> None:
    latent = model.vae.encode(torch.zeros(1, 3, frames, 64, 96))
    assert latent.shape == (1, 24, model.vae.latent_frames(frames), 2, 3)
    assert model.vae.decode(latent).shape == (1, 3, frames, 64, 96)


def test_a_frame_count_that_does_not_fit_is_refused_with_one_that_does(model: PocketModel) -> None:
    with pytest.raises(ValueError, match=r"18 frames .* for example 17"):
        model.vae.latent_frames(18)


def test_normalisation_is_undone_by_decoding(model: PocketModel) -> None:
    vae = model.vae
    latent = torch.randn(1, 24, 1, 2, 2)
    vae.model.latents_mean.copy_(torch.linspace(-1, 1, 24))
    vae.model.latents_std.copy_(torch.linspace(0.5, 2, 24))
    try:
        torch.testing.assert_close(vae.normalise(vae.denormalise(latent)), latent)
        assert not torch.allclose(vae.denormalise(latent), latent)
    finally:
        vae.model.latents_mean.zero_()
        vae.model.latents_std.fill_(1)


def test_prompts_are_padded_closed_and_cut(model: PocketModel) -> None:
    ids, mask = model.tokenize(["", "a red circle", "word " * 400])
    assert ids.shape == (3, model.max_tokens)
    assert mask.sum(1).tolist()[0] == 1
    assert mask.sum(1).tolist()[2] == model.max_tokens
    assert ids[0, 0] == ids[1, mask[1].sum() - 1] == ids[2, -1]


def test_any_text_has_tokens(model: PocketModel) -> None:
    _, mask = model.tokenize(["ein \u00fcberraschender \u706b \U0001f525"])
    assert mask.sum() > 3


def test_a_file_without_our_metadata_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelFileError, match=r"other\.safetensors.*metadata"):
        load_model(path)


def test_a_damaged_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="fetch it again"):
        load_model(saved)


def test_weights_that_do_not_fit_their_config_are_refused(saved: Path, model: PocketModel) -> None:
    state = load_file(saved)
    state.pop("denoiser.x_embedder.proj.bias")
    save_file(state, saved, metadata={"pocketvideo": json.dumps(model.config)})
    with pytest.raises(ModelFileError, match=r"x_embedder\.proj\.bias"):
        load_model(saved)


def test_a_pickle_by_any_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    torch.save({}, path)
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        load_model(path)
    path = tmp_path / "renamed.safetensors"
    torch.save({"a": torch.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="cannot be read as safetensors"):
        load_model(path)


class _Payload:
    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self):  # type: ignore[no-untyped-def]
        return (Path.touch, (self.target,))


def test_t11_the_conversion_refuses_a_pickle_with_a_payload(tmp_path: Path) -> None:
    trace = tmp_path / "executed"
    path = tmp_path / "hybrid.pth"
    torch.save({"state_dict": _Payload(trace)}, path)
    with pytest.raises(ModelFileError, match="may hold code"):
        read_mobilei2v(path)
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(_Payload(trace)))
    assert main([str(plain), str(tmp_path / "out.safetensors")]) == 1
    assert not trace.exists() and not (tmp_path / "out.safetensors").exists()


def test_a_published_checkpoint_is_read_and_loaded(tmp_path: Path) -> None:
    small = replace(MOBILEI2V_270M, width=96, heads=4, mlp_hidden=64, in_channels=8, text_width=12)
    source = Denoiser(small)
    state = source.state_dict()
    for name in ("x_embedder.proj.weight", "blocks.3.mlp.point_conv.conv.weight"):
        state[name] = state[name][:, :, None, None]
    state["pos_embed"] = torch.zeros(1, 920, 96)
    path = tmp_path / "hybrid.pth"
    torch.save({"state_dict": state}, path)
    loaded = load_mobilei2v(read_mobilei2v(path), small)
    latent, time = torch.randn(1, 8, 3, 4, 5), torch.tensor([0.4])
    torch.testing.assert_close(loaded(latent, time), source(latent, time))


def test_the_conversion_command_explains_itself() -> None:
    command = [sys.executable, "-m", "comfyui_pocketvideo.pocketvideo.models.convert", "missing.pth", "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "There is no checkpoint 'missing.pth'."
