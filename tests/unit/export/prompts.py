"""Prompts in API format for the compiler's tests, made by functions so that a test can break one value."""

from pathlib import Path
from typing import Any

from comfyui_pocketvideo.pocketvideo.export import Geometry, WorkflowError

GEOMETRY = Geometry(channels=24, spatial=16, temporal=4, shift=3.0, motion=2.0)


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
