"""The paired devices as people see and choose them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import DeskError
from .planning import Target

if TYPE_CHECKING:
    from ..mobile_runtime.bridge import Bridge, DeviceInfo

ONLY_DEVICE = "the paired device"


def device_label(device: DeviceInfo) -> str:
    """A name that tells two devices of one name apart."""
    return f"{device.name} ({device.device_id[:4]})"


def choose_device(devices: list[DeviceInfo], wanted: str) -> DeviceInfo:
    """The device of a label, name or id; an empty text or ONLY_DEVICE mean the one there is.

    Raises DeskError that names what there is to choose from.
    """
    if not devices:
        raise DeskError(
            "No device is paired with this desk: open the sidebar PocketVideo in ComfyUI and press Pair, or "
            "run `python -m comfyui_pocketvideo pair`."
        )
    known = ", ".join(device_label(device) for device in devices)
    if wanted in ("", ONLY_DEVICE):
        if len(devices) == 1:
            return devices[0]
        raise DeskError(f"{len(devices)} devices are paired ({known}): choose one of them.")
    # Exactly, before by name: two devices may share a name, and none shares an id.
    for names in (
        lambda device: (device.device_id, device_label(device)),
        lambda device: (device.name,),
    ):
        found = [device for device in devices if wanted in names(device)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DeskError(
                f"{len(found)} devices are called {wanted!r:.100} ({known}): choose one by its id."
            )
    raise DeskError(f"No paired device is called {wanted!r:.100} (paired: {known}): choose one or pair it.")


def device_target(bridge: Bridge, wanted: str) -> Target:
    """The device of a label, name or id with what it told of itself. Raises DeskError and BridgeError."""
    device = choose_device(list(bridge.devices()), wanted)
    status = device.status
    if status is None:
        return Target(device.device_id, device.name)
    return Target(
        device.device_id,
        device.name,
        status.free_bytes,
        status.memory_bytes,
        tuple(bundle.bundle_id for bundle in status.bundles),
    )


def described(device: DeviceInfo) -> dict[str, Any]:
    """A device as `GET /devices` tells it (docs/desk-api.md)."""
    status = device.status
    told: dict[str, Any] = {
        "device_id": device.device_id,
        "name": device.name,
        "kind": device.kind,
        "connected": device.connected,
        "last_seen": device.last_seen,
        "paired_at": device.paired_at,
    }
    for name in ("free_bytes", "total_bytes", "memory_bytes", "runtime", "app"):
        told[name] = getattr(status, name) if status is not None else None
    held = status.bundles if status is not None else ()
    told["bundles"] = [
        {"bundle_id": bundle.bundle_id, "name": bundle.name, "bytes": bundle.bytes} for bundle in held
    ]
    return told
