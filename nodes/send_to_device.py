"""Send to Device."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io, ui

from ..desk.request import LOSSLESS, SendRequest
from .device_inputs import bundle_inputs, device_input, fps_input, image_input
from .host.device_names import device_id
from .host.sending import send_and_follow


class PocketVideoSendToDevice(io.ComfyNode):
    """Compiles the workflow that it stands in and installs it on a paired device."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoSendToDevice",
            display_name="Send to Device",
            category="PocketVideo",
            description="Installs this workflow on a paired device, which tests it and keeps it to run "
            "offline. The desk does not render what is linked here.",
            search_aliases=["pocket", "phone", "mobile", "onnx", "export", "install"],
            inputs=[
                image_input(),
                device_input(),
                fps_input(),
                io.String.Input(
                    "name",
                    default="",
                    tooltip="What lists call the workflow; empty takes the model's name.",
                ),
                *bundle_inputs(),
            ],
            outputs=[io.String.Output(display_name="report", tooltip="One line: what is on the device now.")],
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
        name: str,
        prompts: str = "editable",
        precision: str = LOSSLESS,
        images: Any = None,
    ) -> io.NodeOutput:
        extra = cls.hidden.extra_pnginfo or {}
        request = SendRequest(
            prompt=cls.hidden.prompt,
            workflow=extra.get("workflow"),
            target=cls.hidden.unique_id,
            device_id=device_id(device),
            prompts=prompts,
            precision=precision,
            name=name.strip(),
        )
        report = send_and_follow(request, cls.hidden.unique_id)
        return io.NodeOutput(report, ui=ui.PreviewText(report))
