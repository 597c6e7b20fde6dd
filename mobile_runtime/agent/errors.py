"""What can go wrong on the device, each as one sentence for the person who reads its terminal."""

from __future__ import annotations

import ssl
from datetime import datetime

# OpenSSL's verify codes: a certificate of the future, and one that has run out.
OUT_OF_TIME = (9, 10)


class AgentError(Exception):
    """The agent cannot do what was asked; the text is one sentence to show as it is."""


class DeskUnreachable(AgentError):
    """The desk does not answer just now; trying again later may help."""


class DeskRefused(AgentError):
    """The desk answered with an error of docs/protocol.md."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class JobCancelled(AgentError):
    """The desk withdrew the job."""


def certificate_trouble(address: str, error: ssl.SSLCertVerificationError) -> AgentError:
    """What a desk's certificate that cannot be verified means, and what to do."""
    if error.verify_code in OUT_OF_TIME:
        # Passing: a device without a clock of its own gets the time from the network some seconds later.
        return DeskUnreachable(
            f"The desk at {address} shows a certificate that is not valid at {datetime.now():%Y-%m-%d %H:%M},"
            " which is what this device's clock says; set the clock of the device or of the desk."
        )
    return AgentError(
        f"The desk at {address} shows a certificate that its own authority did not make for this address; if"
        " the desk has moved, pair this device again."
    )
