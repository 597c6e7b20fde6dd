"""A Leap compiles into the plan, and the device leaps where torch does, to the same frames."""

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.bundle import psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from comfyui_pocketvideo.pocketvideo.acceleration.leaping import LeapConfig, LeapRecord, leap_sample
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle

from unit.export import prompts
from unit.export.conftest import LENGTH, SIDE
from unit.export.prompts import denoise, refusal
from unit.export.test_device_equals_torch import shifted_sigmas

ADAPTIVE = {"mode": "adaptive", "mode.minimum": 0.4, "mode.tolerance": 0.001, "mode.patience": 2}
SEED, STEPS, GUIDANCE = 77, 14, 2.5


def leaping(**widgets):
    """Custom sampling through a Leap."""
    prompt = prompts.custom_sampling()
    prompt["24"] = prompts.node("PocketVideoLeap", "Leap", sampler=["20", 0], **(widgets or ADAPTIVE))
    prompt["5"]["inputs"]["sampler"] = ["24", 0]
    return prompt


def test_a_leap_is_a_field_of_the_sampling_op():
    assert "leap" not in denoise(prompts.custom_sampling())
    assert denoise(leaping())["leap"] == {
        "mode": "adaptive",
        "minimum": 0.4,
        "tolerance": 0.001,
        "patience": 2,
    }
    assert denoise(leaping(**{"mode": "fixed", "mode.step": 15}))["leap"] == {"mode": "fixed", "step": 15}


def test_a_report_on_the_way_passes_the_latent_on():
    prompt = leaping()
    prompt["25"] = prompts.node("PocketVideoLeapReport", "Report", sampler=["24", 0], samples=["5", 0])
    prompt["6"]["inputs"]["samples"] = ["25", 0]
    assert denoise(prompt) == denoise(leaping())


def test_sampler_custom_is_the_same_op():
    prompt = leaping()
    prompt["5"] = prompts.node(
        "SamplerCustom",
        "Sample",
        model=["1", 0],
        add_noise=True,
        noise_seed=2**64 - 1,
        cfg=4.0,
        positive=["2", 0],
        negative=["3", 0],
        sampler=["24", 0],
        sigmas=["21", 0],
        latent_image=["4", 0],
    )
    assert denoise(prompt) == denoise(leaping())
    prompt["5"]["inputs"]["add_noise"] = False
    assert "holds no noise" in refusal(prompt)
    prompt["5"]["inputs"]["add_noise"] = "yes"
    assert "switch it on or off" in refusal(prompt)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mode", "sometimes", "adaptive or fixed"),
        ("mode.minimum", 2, "0 to 1"),
        ("mode.tolerance", "much", "0 to 1"),
        ("mode.patience", 0, "1 to 100"),
        ("mode.patience", None, "missing"),
        ("sampler", ["21", 0], "SAMPLER"),
    ],
)
def test_a_setting_that_a_device_cannot_take_is_named(name, value, said):
    prompt = leaping()
    prompt["24"]["inputs"][name] = value
    message = refusal(prompt)
    assert said in message and name in message and "24" in message


def test_a_leap_of_a_leap_is_refused():
    prompt = leaping()
    prompt["26"] = prompts.node("PocketVideoLeap", "Again", sampler=["24", 0], **ADAPTIVE)
    prompt["5"]["inputs"]["sampler"] = ["26", 0]
    assert "leaps already" in refusal(prompt)


def euler(model, x, sigmas, *, extra_args, callback, disable):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([x.shape[0]]))
        callback({"x": x, "i": i, "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


def test_the_device_leaps_where_torch_does(exported, tmp_path):
    prompt = leaping()
    prompt["21"]["inputs"]["steps"] = STEPS
    prompt["23"]["inputs"]["noise_seed"] = SEED
    prompt["22"]["inputs"]["cfg"] = GUIDANCE
    plan = exported.compiled(prompt)
    bundle = export_bundle(plan, exported.desk.model_path, tmp_path / "bundle", cache_dir=exported.cache)
    result = run_bundle(bundle, {}, output_dir=tmp_path, threads=1)

    network, record = exported.model, LeapRecord(LeapConfig(minimum=0.4, patience=2))
    texts = [network.encode_text([text]) for text in ("a red circle moves left", "")]

    def model(x, sigma):
        time = sigma[:, None].expand(-1, x.shape[2])
        wanted, unwanted = (
            x - sigma.view(-1, 1, 1, 1, 1) * network.denoiser(x, time, context, mask.float(), score)
            for context, mask in texts
        )
        return unwanted + GUIDANCE * (wanted - unwanted)

    score = torch.tensor([2.0])
    sigmas = torch.tensor(shifted_sigmas(STEPS, 3.0))
    shape = (1, 4, (LENGTH - 1) // 4 + 1, SIDE // 32, SIDE // 32)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED)) * sigmas[0]
    latent = leap_sample(model, noise, sigmas, sampler=euler, config=record.config, record=record)
    with torch.no_grad():
        frames = (network.vae.decode(latent)[0] + 1) / 2
    truth = 255 * frames.clamp(0, 1).permute(1, 2, 3, 0).numpy()

    (step,) = record.leap_steps
    assert step is not None and step < STEPS - 1
    assert result.leap_steps == {"latent": step}
    assert result.evaluations == 2 * (step + 1) == 2 * record.evaluations
    assert np.std(truth) > 5, "a constant video would prove nothing"
    assert psnr(result.frames, truth) > 50
