"""Load Pocket Video Model."""

from __future__ import annotations

from comfy_api.latest import io

from .host import folders

LOCAL = "models folder"


class PocketVideoModelLoader(io.ComfyNode):
    """One file in, MODEL, CLIP and VAE out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoModelLoader",
            display_name="Load Pocket Video Model",
            category="PocketVideo",
            description="Loads a compact video model with its text encoder and VAE from one safetensors file.",
            search_aliases=["pocket", "mobile video", "load video model", "MobileI2V"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=folders.model_names(),
                    tooltip="A safetensors file in models/pocketvideo. One small model comes with the pack.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL", tooltip="The denoiser, for any sampler of ComfyUI."),
                io.Clip.Output(display_name="CLIP", tooltip="The text encoder, for CLIP Text Encode."),
                io.Vae.Output(
                    display_name="VAE", tooltip="Turns latents into frames and frames into latents."
                ),
            ],
        )

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        from .host.loading import load_for_host

        return io.NodeOutput(*load_for_host(folders.model_path(model_name)))
