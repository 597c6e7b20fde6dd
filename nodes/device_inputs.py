"""Widgets that the two nodes for devices share."""

from __future__ import annotations

from comfy_api.latest import io

from ..desk.devices import ONLY_DEVICE
from ..desk.request import LOSSLESS, PRECISIONS, PROMPTS
from .host.device_names import device_labels


def image_input() -> io.Input:
    """What is made on the device; nothing of it is computed here."""
    return io.Image.Input(
        "images",
        lazy=True,
        tooltip="The frames to make on the device: link VAE Decode. They are not made here.",
    )


def device_input() -> io.Input:
    """Which paired device."""
    return io.Combo.Input(
        "device",
        options=device_labels(),
        default=ONLY_DEVICE,
        tooltip="Which paired device. Pair one in the sidebar PocketVideo.",
    )


def fps_input() -> io.Input:
    """Frames per second."""
    return io.Float.Input(
        "fps", default=12.0, min=1.0, max=120.0, step=1.0, tooltip="Frames per second of the video."
    )


def bundle_inputs() -> list[io.Input]:
    """How the workflow is packed."""
    return [
        io.Combo.Input(
            "prompts",
            options=list(PROMPTS),
            default="editable",
            optional=True,
            tooltip="With 'editable' the device gets the text encoder and its user can change the prompts; "
            "with 'fixed' it gets them encoded: less to send and to hold.",
        ),
        io.Combo.Input(
            "precision",
            options=list(PRECISIONS),
            default=LOSSLESS,
            optional=True,
            tooltip="How weights are stored. 'lossless' takes 16 bits wherever that loses nothing: half the "
            "size, the same video. Fewer bits are smaller and change it.",
        ),
    ]
