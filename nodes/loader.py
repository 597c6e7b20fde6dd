"""Load Pocket Video Model."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..desk.hub import HubFile, fetch
from ..desk.hub_models import HUB
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
            description="Loads a compact video model, with text encoder and VAE, from one safetensors file.",
            search_aliases=["pocket", "mobile video", "load video model", "MobileI2V"],
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=folders.model_names(),
                    tooltip="A safetensors file in models/pocketvideo. One small model comes with the pack.",
                ),
                io.DynamicCombo.Input(
                    "source",
                    optional=True,
                    options=[
                        io.DynamicCombo.Option(LOCAL, []),
                        io.DynamicCombo.Option(HUB, _hub_inputs()),
                    ],
                    tooltip="Where the file comes from. Only the Hub option uses the network, "
                    "and then only for a file that is not here yet.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="MODEL", tooltip="The denoiser, for any sampler of ComfyUI."),
                io.Clip.Output(display_name="CLIP", tooltip="The text encoder, for CLIP Text Encode."),
                io.Vae.Output(display_name="VAE", tooltip="Turns latents into frames and back."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def execute(cls, model_name: str, source: dict[str, Any] | None = None) -> io.NodeOutput:
        from .host.loading import load_for_host
        from .host.progress import NodeProgress

        chosen = source or {}
        if chosen.get("source") == HUB:
            wanted = HubFile(chosen["repository"], chosen["file"], chosen["revision"])
            progress = NodeProgress(cls.hidden.unique_id)

            def report(done: int, total: int) -> None:
                progress.update(done / max(1, total), f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

            fetch(wanted, folders.download_folder(), report)
            model_name = wanted.local_name
        return io.NodeOutput(*load_for_host(folders.model_path(model_name)))


def _hub_inputs() -> list[io.Input]:
    return [
        io.String.Input("repository", default="", placeholder="owner/name", tooltip="The repository's name."),
        io.String.Input(
            "file",
            default="model.safetensors",
            tooltip="Its path in the repository; safetensors only.",
        ),
        io.String.Input(
            "revision",
            default="",
            placeholder="40 hex digits",
            tooltip="The commit to take the file from, so that everybody gets the same one.",
        ),
    ]
