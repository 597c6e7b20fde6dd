"""Graphs that sample our random model with a Leap, and with a report behind it."""

from __future__ import annotations

from typing import Any

from .graphs import JSON, LATENT, LOADER, SAMPLED, node, save_latent, text_to_video

NOISE, GUIDER, SAMPLER, SIGMAS, LEAP, REPORT = "30", "31", "32", "33", "34", "35"
STEPS, STEP = 8, 4


def graph(prefix: str, *, seed: int, sampler: str = "euler", batch_size: int = 1, steps: int = STEPS) -> JSON:
    """Our random model under SamplerCustomAdvanced, without a leap, ending in Save Latent."""
    made = text_to_video("", seed=seed)
    for key in ("6", "7", "8"):
        del made[key]
    made[LATENT]["inputs"]["batch_size"] = batch_size
    return made | {
        NOISE: node("RandomNoise", noise_seed=seed),
        GUIDER: node("CFGGuider", model=[LOADER, 0], positive=["2", 0], negative=["3", 0], cfg=3.0),
        SAMPLER: node("KSamplerSelect", sampler_name=sampler),
        SIGMAS: node("BasicScheduler", model=[LOADER, 0], scheduler="simple", steps=steps, denoise=1.0),
        SAMPLED: node(
            "SamplerCustomAdvanced",
            noise=[NOISE, 0],
            guider=[GUIDER, 0],
            sampler=[SAMPLER, 0],
            sigmas=[SIGMAS, 0],
            latent_image=[LATENT, 0],
        ),
        **save_latent(f"latents/leap-{prefix}"),
    }


def with_leap(made: JSON, *, step: int = STEP, **mode: Any) -> JSON:
    """The same with a Leap before its sampler, and a report behind it."""
    settings = {f"mode.{key}": value for key, value in mode.items()}
    chosen = {"mode": "adaptive", **settings} if mode else {"mode": "fixed", "mode.step": step}
    made[LEAP] = node("PocketVideoLeap", sampler=[SAMPLER, 0], **chosen)
    made[SAMPLED]["inputs"]["sampler"] = [LEAP, 0]
    made[REPORT] = node("PocketVideoLeapReport", sampler=[LEAP, 0], samples=[SAMPLED, 0])
    return made
