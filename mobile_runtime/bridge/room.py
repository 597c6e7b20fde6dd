"""Whether a bundle can fit on a device, before a byte is sent; the device decides in the end, and exactly."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import BridgeError
from .offers import BundleOffer
from .status import DeviceStatus

NAMED = 3


def check_room(
    device_name: str,
    status: DeviceStatus,
    offer: BundleOffer,
    known: Mapping[str, Mapping[str, int]],
) -> None:
    """Raise BridgeError when `offer` cannot fit, however much of it the device has already.

    `known` holds the files (bytes by SHA-256) of bundles that this desk has seen. Of one that it has not,
    every byte might be shared; so nothing that could fit is refused here.
    """
    held = {bundle.bundle_id for bundle in status.bundles}
    if status.free_bytes is None or offer.bundle_id in held:
        return
    shared = {sha256 for identity in held for sha256 in known.get(identity, ())}
    need = sum(blob.size for blob in offer.blobs.values() if blob.sha256 not in shared)
    need -= sum(bundle.bytes for bundle in status.bundles if bundle.bundle_id not in known)
    if need <= status.free_bytes:
        return
    largest = sorted(status.bundles, key=lambda bundle: -bundle.bytes)[:NAMED]
    names = ", ".join(f"{bundle.name} {_size(bundle.bytes)}" for bundle in largest)
    remedy = f"delete a bundle there ({names})" if largest else "make room there"
    raise BridgeError(
        f"{device_name} has {_size(status.free_bytes)} free and {offer.name!r} needs {_size(need)}; {remedy}"
        " and send it again."
    )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
