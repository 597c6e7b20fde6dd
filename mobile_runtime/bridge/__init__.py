"""The desk's side of the bridge: pairing, push, jobs, results (docs/protocol.md).

Needs aiohttp, cryptography and numpy; import it only when the user pairs a device or sends a job.
"""

from .core import Limits
from .errors import BridgeError, PushCancelled
from .jobs import JobEvent
from .pairing import PairingOffer, PendingDevice
from .service import Bridge, DeviceInfo, JobResult

__all__ = [
    "Bridge",
    "BridgeError",
    "DeviceInfo",
    "JobEvent",
    "JobResult",
    "Limits",
    "PairingOffer",
    "PendingDevice",
    "PushCancelled",
]
