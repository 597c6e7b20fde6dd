"""Prompts in API format for the compiler's tests, made by functions so that a test can break one value."""

from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.pocketvideo.export import Geometry, WorkflowError, compile_workflow

GEOMETRY = Geometry(24, 16, 4, shift=3.0, motion=2.0, any_multiplier=True, zero_is_padding=True)


class Desk:
    """Lookups of a desk that has one model and one photo."""

    def model(self, name: str) -> Geometry:
        if name != "shapes.safetensors":
            raise WorkflowError(f"There is no model {name}.")
        return GEOMETRY

    def image(self, name: str) -> Path:
        if name != "photo.png":
            raise WorkflowError(f"There is no image {name}.")
        return Path("desk") / name


def node(class_type: str, title: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs, "_meta": {"title": title}}


def text_to_video(end: str = "SaveVideo") -> dict[str, Any]:
    """The quickstart."""
    prompt = {
        "1": node("PocketVideoModelLoader", "Load Pocket Video Model", model_name="shapes.safetensors"),
        "2": node("CLIPTextEncode", "What you want", text="a red circle moves left", clip=["1", 1]),
        "3": node("CLIPTextEncode", "What you do not want", text="", clip=["1", 1]),
        "4": node("PocketVideoEmptyLatent", "Size", width=64, height=48, length=17, batch_size=1),
        "5": node(
            "KSampler",
            "Sample",
            model=["1", 0],
            positive=["2", 0],
            negative=["3", 0],
            latent_image=["4", 0],
            seed=2**64 - 1,
            steps=25,
            cfg=4.0,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
        "6": node("VAEDecode", "Decode", samples=["5", 0], vae=["1", 2]),
    }
    if end == "SaveVideo":
        prompt["7"] = node("CreateVideo", "Create Video", images=["6", 0], fps=12.0)
        prompt["8"] = node(
            "SaveVideo", "Save Video", video=["7", 0], filename_prefix="v", format="auto", codec="auto"
        )
    else:
        prompt["9"] = node(
            "PocketVideoSendToDevice", "Send to Device", images=["6", 0], fps=12, device="phone"
        )
    return prompt


def image_to_video() -> dict[str, Any]:
    """Animate a photo."""
    prompt = text_to_video()
    prompt["10"] = node("LoadImage", "Photo", image="photo.png")
    prompt["4"] = node(
        "PocketVideoImageToVideo",
        "Animate",
        positive=["2", 0],
        negative=["3", 0],
        vae=["1", 2],
        image=["10", 0],
        width=64,
        height=48,
        length=17,
        motion=3.5,
        batch_size=1,
    )
    prompt["5"]["inputs"] |= {"positive": ["4", 0], "negative": ["4", 1], "latent_image": ["4", 2]}
    return prompt


def custom_sampling() -> dict[str, Any]:
    """The quickstart with SamplerCustomAdvanced and its parts in place of KSampler."""
    prompt = text_to_video()
    prompt["20"] = node("KSamplerSelect", "Sampler", sampler_name="euler")
    prompt["21"] = node(
        "BasicScheduler", "Scheduler", model=["1", 0], scheduler="simple", steps=25, denoise=1.0
    )
    prompt["22"] = node("CFGGuider", "Guider", model=["1", 0], positive=["2", 0], negative=["3", 0], cfg=4.0)
    prompt["23"] = node("RandomNoise", "Noise", noise_seed=2**64 - 1)
    prompt["5"] = node(
        "SamplerCustomAdvanced",
        "Sample",
        noise=["23", 0],
        guider=["22", 0],
        sampler=["20", 0],
        sigmas=["21", 0],
        latent_image=["4", 0],
    )
    return prompt


def every_sampling_node() -> dict[str, Any]:
    """A photo redrawn in three stages: of every sampling node one, decoded in tiles, saved as WebP."""
    prompt = text_to_video()
    del prompt["7"], prompt["8"]
    prompt["3"] = node("ConditioningZeroOut", "Nothing", conditioning=["2", 0])
    prompt["10"] = node("LoadImage", "Photo", image="photo.png")
    size = {"width": 64, "height": 48}
    prompt["11"] = node(
        "ImageScale", "Scale", image=["10", 0], upscale_method="bilinear", crop="center", **size
    )
    prompt["12"] = node("VAEEncode", "Encode", pixels=["11", 0], vae=["1", 2])
    prompt["13"] = node("ModelSamplingSD3", "Shift", model=["1", 0], shift=5.0)
    prompt["14"] = node("ModelSamplingAuraFlow", "Shift back", model=["13", 0], shift=3.0)
    widgets = {"add_noise": "enable", "noise_seed": 1, "steps": 12, "cfg": 2.0, "scheduler": "beta"}
    widgets |= {"sampler_name": "dpmpp_2m", "start_at_step": 6, "end_at_step": 10}
    links = {"model": ["14", 0], "positive": ["2", 0], "negative": ["3", 0]}
    prompt["15"] = node(
        "KSamplerAdvanced",
        "First",
        **links,
        **widgets,
        latent_image=["12", 0],
        return_with_leftover_noise="enable",
    )
    prompt["16"] = node("ManualSigmas", "Written", sigmas="0.6, 0.5, 0.4, 0.2, 0")
    prompt["17"] = node("SplitSigmas", "Split", sigmas=["16", 0], step=2)
    prompt["18"] = node("KSamplerSelect", "Sampler", sampler_name="uni_pc")
    prompt["19"] = node(
        "SamplerCustom",
        "Second",
        **links,
        add_noise=False,
        noise_seed=2,
        cfg=3.0,
        sampler=["18", 0],
        sigmas=["17", 0],
        latent_image=["15", 0],
    )
    stretch = {"max_shift": 2.05, "base_shift": 0.95, "stretch": True, "terminal": 0.1}
    prompt["20"] = node("LTXVScheduler", "LTX", steps=8, latent=["12", 0], **stretch)
    prompt["21"] = node("BasicGuider", "Guider", model=["1", 0], conditioning=["2", 0])
    prompt["22"] = node("DisableNoise", "No noise")
    prompt["5"] = node(
        "SamplerCustomAdvanced",
        "Third",
        noise=["22", 0],
        guider=["21", 0],
        sampler=["18", 0],
        sigmas=["20", 0],
        latent_image=["19", 0],
    )
    tiles = {"tile_size": 64, "overlap": 16, "temporal_size": 8, "temporal_overlap": 4}
    prompt["6"] = node("VAEDecodeTiled", "Decode", samples=["5", 0], vae=["1", 2], **tiles)
    webp = {"filename_prefix": "x", "fps": 6.0, "lossless": True, "quality": 80, "method": "default"}
    prompt["8"] = node("SaveAnimatedWEBP", "Save", images=["6", 0], **webp)
    return prompt


def denoise(prompt: dict[str, Any]) -> dict[str, Any]:
    """The one sampling op that a workflow compiles to."""
    (op,) = [op for op in compile_workflow(prompt, None, Desk()).ops if op["op"] == "denoise"]
    return op


def refusal(prompt: dict[str, Any]) -> str:
    """Why a workflow does not compile."""
    with pytest.raises(WorkflowError) as caught:
        denoise(prompt)
    return str(caught.value)
