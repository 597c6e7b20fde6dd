"""Small graphs over a random model, in the API format that ComfyUI's HTTP interface takes."""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]

MODEL = "random.safetensors"
LOADER = "1"
LATENT = "4"
SAMPLED = "5"
FRAMES = "6"
SAVE = "8"


def text_to_video(
    prefix: str, *, model: str = MODEL, seed: int = 7, steps: int = 3, length: int = 9, side: int = 64
) -> JSON:
    """The quickstart's nodes: loader, two prompts, latent, KSampler, decode, save."""
    return {
        LOADER: node("PocketVideoModelLoader", model_name=model),
        "2": node("CLIPTextEncode", clip=[LOADER, 1], text="a red circle moves left"),
        "3": node("CLIPTextEncode", clip=[LOADER, 1], text=""),
        LATENT: node("PocketVideoEmptyLatent", width=side, height=side, length=length, batch_size=1),
        SAMPLED: node(
            "KSampler",
            model=[LOADER, 0],
            positive=["2", 0],
            negative=["3", 0],
            latent_image=[LATENT, 0],
            seed=seed,
            steps=steps,
            cfg=3.0,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
        FRAMES: node("VAEDecode", samples=[SAMPLED, 0], vae=[LOADER, 2]),
        **save_video(prefix),
    }


def image_to_video(prefix: str, image: str, **options: Any) -> JSON:
    """The same with a given first frame."""
    graph = text_to_video(prefix, **options)
    size = graph.pop(LATENT)["inputs"]
    graph["10"] = node("LoadImage", image=image)
    graph[LATENT] = node(
        "PocketVideoImageToVideo",
        positive=["2", 0],
        negative=["3", 0],
        vae=[LOADER, 2],
        image=["10", 0],
        motion=2.0,
        **size,
    )
    graph[SAMPLED]["inputs"].update(positive=[LATENT, 0], negative=[LATENT, 1], latent_image=[LATENT, 2])
    return graph


def save_video(prefix: str, frames: str = FRAMES) -> JSON:
    """Create Video and Save Video."""
    return {
        "7": node("CreateVideo", images=[frames, 0], fps=12.0),
        SAVE: node("SaveVideo", video=["7", 0], filename_prefix=prefix, format="mp4", codec="h264"),
    }


def save_latent(prefix: str, source: tuple[str, int] = (SAMPLED, 0)) -> JSON:
    """Save Latent: bit-exact numbers to compare."""
    return {"9": node("SaveLatent", samples=list(source), filename_prefix=prefix)}


def only_latent(graph: JSON, prefix: str) -> JSON:
    """A graph that ends in Save Latent instead of a video."""
    kept = {key: value for key, value in graph.items() if key not in (FRAMES, "7", SAVE)}
    return {**kept, **save_latent(prefix)}


def node(class_type: str, **inputs: Any) -> JSON:
    """One node in API format."""
    return {"class_type": class_type, "inputs": inputs}
