"""The paired devices in a node's list."""

from __future__ import annotations

import logging

from ...desk.devices import ONLY_DEVICE, choose_device, device_label
from .desk import paired_devices

logger = logging.getLogger(__name__)


def device_labels() -> list[str]:
    """What the node's list offers: the only device, then each paired one by name."""
    try:
        devices = paired_devices()
    except Exception as error:  # whatever is wrong with the pairings, the node must still appear
        logger.warning("PocketVideo cannot list the paired devices: %s", error)
        devices = []
    return [ONLY_DEVICE, *(device_label(device) for device in devices)]


def device_id(label: str) -> str:
    """The id of the device behind a label of the list. Raises DeskError."""
    return choose_device(paired_devices(), label).device_id
