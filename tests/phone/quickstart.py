"""The quickstart as a bundle: the demo model that ships, compiled and exported as the desk does it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle

REPOSITORY = Path(__file__).parents[2]
MODEL = REPOSITORY / "models" / "pocketvideo" / "pocket_shapes.safetensors"
# Exports are kept by what they are made of, so that only the first run of these tests waits for them.
EXPORTS = REPOSITORY / ".cache" / "phone-tests" / "exports"
PROMPT = "a red circle moves right on a black background"


def build(folder: Path) -> Bundle:
    """Compile and export the quickstart into `folder`; the first time takes about a minute on two cores."""
    plan = compile_workflow(graph(), "8", FolderLookups(MODEL, MODEL.parent))
    return export_bundle(plan, MODEL, folder / "bundle", cache_dir=EXPORTS)


def graph() -> dict[str, Any]:
    """workflows/quickstart.json in API format, ending at the device."""

    def node(class_type: str, **inputs: Any) -> dict[str, Any]:
        return {"class_type": class_type, "inputs": inputs}

    sampler = {"sampler_name": "euler", "scheduler": "simple", "denoise": 1.0}
    return {
        "1": node("PocketVideoModelLoader", model_name=MODEL.name),
        "2": node("CLIPTextEncode", text=PROMPT, clip=["1", 1]),
        "3": node("CLIPTextEncode", text="", clip=["1", 1]),
        "4": node("PocketVideoEmptyLatent", width=128, height=128, length=17, batch_size=1),
        "5": node(
            "KSampler",
            model=["1", 0],
            positive=["2", 0],
            negative=["3", 0],
            latent_image=["4", 0],
            seed=7,
            steps=25,
            cfg=4.0,
            **sampler,
        ),
        "6": node("VAEDecode", samples=["5", 0], vae=["1", 2]),
        "8": node("PocketVideoSendToDevice", images=["6", 0], fps=12, device="the paired device"),
    }
