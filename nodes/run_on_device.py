"""Run on Device."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..desk.request import LOSSLESS, SendRequest
from ..desk.videos import EXTENSIONS
from .device_inputs import bundle_inputs, device_input, fps_input, image_input
from .host.device_names import device_id
from .host.folders import output_place
from .host.running import run_on_device, save_video


class PocketVideoRunOnDevice(io.ComfyNode):
    """Compiles the workflow that it stands in, runs it on a paired device and returns the frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoRunOnDevice",
            display_name="Run on Device",
            category="PocketVideo",
            description="Runs this workflow on a paired device and returns the frames that it made. "
            "The desk does not render what is linked here.",
            search_aliases=["pocket", "phone", "mobile", "onnx", "remote"],
            inputs=[
                image_input(),
                device_input(),
                fps_input(),
                io.String.Input(
                    "filename_prefix",
                    default="video/device",
                    tooltip="Where the video is saved in ComfyUI's output folder.",
                ),
                *bundle_inputs(),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The frames that the device made."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.extra_pnginfo, io.Hidden.unique_id],
            is_output_node=True,
            not_idempotent=True,
        )

    @classmethod
    def check_lazy_status(cls, **_: Any) -> list[str]:
        """Nothing is needed of the desk: the device makes the frames."""
        return []

    @classmethod
    def validate_inputs(cls, device: str) -> bool:
        """Leaves the check of the device to the run, which names the devices that there are."""
        return True

    @classmethod
    def execute(
        cls,
        device: str,
        fps: float,
        filename_prefix: str,
        prompts: str = "editable",
        precision: str = LOSSLESS,
        images: Any = None,
    ) -> io.NodeOutput:
        # Before the device works for minutes: a prefix may lead out of the output folder.
        output_place(filename_prefix)
        extra = cls.hidden.extra_pnginfo or {}
        request = SendRequest(
            prompt=cls.hidden.prompt,
            workflow=extra.get("workflow"),
            target=cls.hidden.unique_id,
            device_id=device_id(device),
            prompts=prompts,
            precision=precision,
        )
        made = run_on_device(request, cls.hidden.unique_id)
        _, height, width, _ = made.images.shape
        path, subfolder = output_place(filename_prefix, width, height, extension=EXTENSIONS[made.mime])
        save_video(made, path, cls.hidden.prompt, extra)
        shown = ui.PreviewVideo([ui.SavedResult(path.name, subfolder, io.FolderType.output)]).as_dict()
        words = ui.PreviewText(made.summary).as_dict()
        return io.NodeOutput(made.images, ui={**shown, **words, "pocketvideo": [made.report]})
