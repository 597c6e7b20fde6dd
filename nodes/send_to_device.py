"""Send to Device."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from .host.folders import output_place
from .host.sending import ONLY_DEVICE, device_labels, send


class PocketVideoSendToDevice(io.ComfyNode):
    """Compiles the workflow that it stands in and runs it on a paired device."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoSendToDevice",
            display_name="Send to Device",
            category="PocketVideo",
            description="Sends this workflow to a paired device, which runs it and returns the video. "
            "The desk does not render what is linked here.",
            search_aliases=["pocket", "phone", "mobile", "onnx", "export", "run on device"],
            inputs=[
                io.Image.Input(
                    "images",
                    lazy=True,
                    tooltip="The frames to make on the device: link VAE Decode. They are not made here.",
                ),
                io.Combo.Input(
                    "device",
                    options=device_labels(),
                    default=ONLY_DEVICE,
                    tooltip="Which paired device. Pair one with the command 'PocketVideo: Pair a device'.",
                ),
                io.Float.Input(
                    "fps",
                    default=12.0,
                    min=1.0,
                    max=120.0,
                    step=1.0,
                    tooltip="Frames per second of the video.",
                ),
                io.String.Input(
                    "filename_prefix",
                    default="video/device",
                    tooltip="Where the video is saved in ComfyUI's output folder.",
                ),
                io.Combo.Input(
                    "prompts",
                    options=["editable", "fixed"],
                    default="editable",
                    optional=True,
                    tooltip="With 'editable' the device gets the text encoder and its user can change the "
                    "prompts; with 'fixed' it gets them encoded: less to send and to hold.",
                ),
            ],
            outputs=[
                io.Image.Output(display_name="images", tooltip="The frames that the device made."),
            ],
            hidden=[io.Hidden.prompt, io.Hidden.unique_id],
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
        cls, device: str, fps: float, filename_prefix: str, prompts: str = "editable", images: Any = None
    ) -> io.NodeOutput:
        # Before the device works for minutes: a prefix may lead out of the output folder.
        output_place(filename_prefix)
        sent = send(cls.hidden.prompt, cls.hidden.unique_id, device, prompts)
        _, height, width, _ = sent.images.shape
        path, subfolder = output_place(filename_prefix, width, height)
        path.write_bytes(sent.video)
        file = path.name
        shown = ui.PreviewVideo([ui.SavedResult(file, subfolder, io.FolderType.output)]).as_dict()
        words = ui.PreviewText(sent.summary).as_dict()
        return io.NodeOutput(sent.images, ui={**shown, **words, "pocketvideo": [sent.report]})
