"""Few-Step Schedule, Few-Step Sampler and High-Low Split in the real host: a student's own numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.training.fewstep.card import save_student

from host.client import ComfyClient
from host.graphs import JSON, LATENT, LOADER, SAMPLED, node
from host.leap_graphs import GUIDER, NOISE, SAMPLER, SIGMAS, graph
from host.pocket import install_random_model, latent_of, random_model, read_latent
from host.server import ComfyServer

STUDENT = "student.safetensors"
FOUR = [1.0, 0.92, 0.76, 0.52, 0.0]
CARD = {"sigmas": {"4": FOUR, "2": [1.0, 0.76, 0.0]}, "sampling": "renoise", "steps": 4, "guidance": 1.0}


@pytest.fixture(autouse=True)
def student(host: ComfyServer) -> Path:
    parent = install_random_model(host)
    path = parent.with_name(STUDENT)
    if not path.exists():
        model = random_model()
        save_student(path, model.denoiser.state_dict(), model.config, parent, CARD)
    return path


def few_steps(prefix: str, **schedule: object) -> JSON:
    """The student's own schedule and sampler, without guidance."""
    made = graph(prefix, seed=2**64 - 2)
    made[LOADER]["inputs"]["model_name"] = STUDENT
    chosen = schedule or {"student": "as the model says", "student.steps": 4}
    made[SIGMAS] = node("PocketVideoFewStepSchedule", model=[LOADER, 0], **chosen)
    made[SAMPLER] = node("PocketVideoFewStepSampler", sampling="as the model says", model=[LOADER, 0])
    made[GUIDER] = node("BasicGuider", model=[LOADER, 0], conditioning=["2", 0])
    return made


def test_a_student_is_sampled_as_its_card_says(host: ComfyServer, client: ComfyClient) -> None:
    found = latent_of(host, client, few_steps("card"), "card")
    # On a processor, fresh noise is what ComfyUI's own lcm draws.
    by_hand = few_steps("by-hand")
    by_hand[SIGMAS] = node("ManualSigmas", sigmas=", ".join(map(str, FOUR)))
    by_hand[SAMPLER] = node("KSamplerSelect", sampler_name="lcm")
    assert torch.equal(found, latent_of(host, client, by_hand, "by-hand"))
    # Two steps are another video, and so is one path without fresh noise.
    two = few_steps("two", **{"student": "as the model says", "student.steps": 2})
    assert (latent_of(host, client, two, "two") - found).abs().max() > 0.01
    euler = few_steps("euler")
    euler[SAMPLER]["inputs"]["sampling"] = "deterministic"
    plain = latent_of(host, client, euler, "euler")
    euler[SAMPLER] = node("KSamplerSelect", sampler_name="euler")
    assert torch.equal(plain, latent_of(host, client, euler, "euler-2"))
    assert (plain - found).abs().max() > 0.01


def test_what_nobody_says_is_refused_in_a_sentence(client: ComfyClient) -> None:
    three = client.run(few_steps("three", **{"student": "as the model says", "student.steps": 3}))
    assert three.error is not None
    assert "trained for 2 or 4 steps, not 3" in three.error["exception_message"]
    made = few_steps("no-card")
    made[LOADER]["inputs"]["model_name"] = "random.safetensors"
    no_card = client.run(made)
    assert no_card.error is not None
    assert "no student with a card" in no_card.error["exception_message"]


def test_two_models_share_a_schedule(host: ComfyServer, client: ComfyClient) -> None:
    """The teacher's guided first steps and the student's last ones, against sigmas written by hand."""
    made = few_steps("split")
    made["40"] = node("PocketVideoModelLoader", model_name="random.safetensors")
    made["41"] = node("BasicScheduler", model=["40", 0], scheduler="simple", steps=10, denoise=1.0)
    made["42"] = node("PocketVideoHighLowSplit", high=["41", 0], low=[SIGMAS, 0], boundary=0.8)
    made["43"] = node("CFGGuider", model=["40", 0], positive=["2", 0], negative=["3", 0], cfg=3.0)
    made["44"] = node("KSamplerSelect", sampler_name="euler")
    parts = {"noise": [NOISE, 0], "guider": ["43", 0], "sampler": ["44", 0], "sigmas": ["42", 0]}
    made["45"] = node("SamplerCustomAdvanced", **parts, latent_image=[LATENT, 0])
    made["46"] = node("DisableNoise")
    made[SAMPLED]["inputs"] |= {"noise": ["46", 0], "sigmas": ["42", 1], "latent_image": ["45", 0]}
    found = latent_of(host, client, made, "split")
    made["45"]["inputs"]["sigmas"] = ["47", 0]
    made[SAMPLED]["inputs"]["sigmas"] = ["48", 0]
    made["47"] = node("ManualSigmas", sigmas="1.0, 0.9, 0.8, 0.76")
    made["48"] = node("ManualSigmas", sigmas="0.76, 0.52, 0.0")
    by_hand = read_latent(host, client.run(made).require_success())
    torch.testing.assert_close(found, by_hand, atol=1e-5, rtol=1e-5)
