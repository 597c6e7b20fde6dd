"""The desk's side of the bridge: pairing, push, jobs, results (docs/protocol.md).

Needs aiohttp, cryptography and numpy; import it only when the user pairs a device or sends a job.
"""

from .core import Limits
from .errors import BridgeError, PushCancelled
from .jobs import JobEvent
from .outcome import DeviceInfo, InstallResult, JobResult
from .pairing import PairingOffer, PendingDevice
from .service import Bridge

__all__ = [
    "Bridge",
    "BridgeError",
    "DeviceInfo",
    "InstallResult",
    "JobEvent",
    "JobResult",
    "Limits",
    "PairingOffer",
    "PendingDevice",
    "PushCancelled",
]
