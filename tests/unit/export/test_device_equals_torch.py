"""The bar of the export: a bundle run by the engine makes the frames that torch makes from the same model."""

import io
import itertools

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from PIL import Image

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE

SEED = 2**63 + 11
STEPS = 4


def shifted_sigmas(steps: int, shift: float) -> list[float]:
    """ComfyUI's `simple` schedule over its table of 1000 shifted times."""
    table = [shift * t / (1 + (shift - 1) * t) for t in (i / 1000 for i in range(1, 1001))]
    return [table[-(1 + int(i * 1000 / steps))] for i in range(steps)] + [0.0]


def torch_frames(model, prompt, negative, guidance, motion, shift, first=None):
    """A sampling loop written from the definitions: rectified flow, Euler, guidance, a clean first frame."""
    texts = [model.encode_text([text]) for text in (prompt, negative)]
    shape = (1, 4, (LENGTH - 1) // 4 + 1, SIDE // 32, SIDE // 32)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))
    score = torch.tensor([motion])
    sigmas = shifted_sigmas(STEPS, shift)
    x = x * sigmas[0]
    for now, after in itertools.pairwise(sigmas):
        time = torch.full((1, shape[2]), now)
        if first is not None:
            x[:, :, :1] = first
            time[:, 0] = 0
        velocities = [model.denoiser(x, time, context, mask.float(), score) for context, mask in texts]
        velocity = velocities[1] + guidance * (velocities[0] - velocities[1])
        x = x + (after - now) * velocity
    if first is not None:
        x[:, :, :1] = first
    frames = (model.vae.decode(x)[0] + 1) / 2
    return 255 * frames.clamp(0, 1).permute(1, 2, 3, 0).numpy()


def first_frame(model, bundle):
    """The bundle's photo, cut to the middle and resized as ComfyUI's common_upscale does, then encoded."""
    with Image.open(io.BytesIO(bundle.read("inputs/photo.png"))) as image:
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255
    height, width = pixels.shape[2:]
    if width > height:
        edge = round((width - height * SIDE / SIDE) / 2)
        pixels = pixels[..., edge : width - edge]
    small = torch.nn.functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear")
    return model.vae.encode(2 * small[:, :, None] - 1)


def test_image_to_video_on_the_device_equals_torch(exported, tmp_path):
    values = {"seed": str(SEED), "steps": STEPS, "prompt": "A Red circle  ", "motion": 3.0, "guidance": 2.5}
    result = run_bundle(exported.bundle, values, output_dir=tmp_path, threads=1)
    with torch.no_grad():
        first = first_frame(exported.model, exported.bundle)
        truth = torch_frames(exported.model, "A Red circle  ", "", 2.5, 3.0, 3.0, first)
    assert result.frames.shape == truth.shape
    assert psnr(result.frames, truth) > 50
    assert np.std(truth) > 5, "a constant video would prove nothing"
    with torch.no_grad():
        unguided = torch_frames(exported.model, "A Red circle  ", "", 2.5, 3.0, 3.0)
    assert psnr(result.frames, unguided) < 30, "the photo has to show"


def test_text_to_video_on_the_device_equals_torch(exported, tmp_path):
    prompt = prompts.text_to_video()
    prompt["5"]["inputs"] |= {"seed": SEED, "steps": STEPS}
    bundle = export_bundle(
        exported.compiled(prompt), exported.desk.model_path, tmp_path / "bundle", cache_dir=exported.cache
    )
    assert "vae_encoder" not in bundle.manifest["components"]
    result = run_bundle(bundle, {}, output_dir=tmp_path, threads=1)
    with torch.no_grad():
        truth = torch_frames(exported.model, "a red circle moves left", "", 4.0, 2.0, 3.0)
    assert psnr(result.frames, truth) > 50
    other = run_bundle(bundle, {"prompt": "blue"}, output_dir=tmp_path, threads=1)
    assert (other.frames != result.frames).any()


def test_the_bundle_verifies_and_passes_its_own_test(exported):
    exported.bundle.verify()
    report = self_test(exported.bundle, threads=1)
    assert set(report) == {"text_encoder", "denoiser", "vae_encoder", "vae_decoder"}
    assert min(figure.psnr for figure in report.values()) > 100


@pytest.mark.parametrize("size", [(1, 3, 1), (4, 2, 7)])
def test_graphs_take_any_number_of_frames_and_any_sides(exported, size):
    from comfyui_pocketvideo.mobile_runtime.engine.streaming import Component

    frames, height, width = size
    generator = torch.Generator().manual_seed(5)
    latent = torch.randn((1, 4, *size), generator=generator)
    context, mask = exported.model.encode_text(["a circle"])
    given = {
        "latent": latent,
        "timestep": torch.rand((1, frames), generator=generator),
        "context": context,
        "context_mask": mask.float(),
        "motion": torch.tensor([1.5]),
    }
    with torch.no_grad():
        velocity = exported.model.denoiser(*given.values())
        decoded = exported.model.vae.decode(latent)
    arrays = {name: value.numpy() for name, value in given.items()}
    found = Component(exported.bundle, "denoiser").run(arrays)["velocity"]
    assert psnr(found, velocity.numpy()) > 100
    found = Component(exported.bundle, "vae_decoder").run({"latent": latent.numpy()})["frames"]
    assert found.shape == (1, 3, 4 * (frames - 1) + 1, 32 * height, 32 * width)
    assert psnr(found, decoded.numpy()) > 100
