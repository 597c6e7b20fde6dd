"""What the desk wants of this device: pushed over a WebSocket, or asked for where those are blocked.

The messages are those of docs/protocol.md sections 6 and 10. Reconnecting is the work of `loop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from .desk import Desk, JobOffer
from .errors import DeskRefused, DeskUnreachable

log = logging.getLogger(__name__)

REVOKED = 4401


class Orders(ABC):
    """One connection's way to work."""

    @abstractmethod
    async def next(self) -> JobOffer:
        """The next job, however long it takes; DeskUnreachable or DeskRefused when the connection ended."""

    @contextmanager
    def watching(self, job_id: str, withdraw: Callable[[], None]) -> Iterator[None]:
        """While the job runs, call `withdraw` as soon as the desk wants it no more."""
        yield


class Asking(Orders):
    """The long poll; a withdrawal is heard of in the answer to the next event."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def next(self) -> JobOffer:
        while True:
            if (offer := await self._desk.next_job()) is not None:
                return offer


class Listening(Orders):
    """The socket: jobs and withdrawals come by themselves."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._jobs: asyncio.Queue[JobOffer] = asyncio.Queue()
        self._withdraw: dict[str, Callable[[], None]] = {}
        self._withdrawn: set[str] = set()
        self._ready = False
        self._reading = asyncio.create_task(self._read())

    async def next(self) -> JobOffer:
        if not self._ready:
            self._ready = True
            # A connection that ended while the last job ran says below why it did.
            with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                await self._socket.send_str('{"type": "ready"}')
        while True:
            getting = asyncio.create_task(self._jobs.get())
            try:
                await asyncio.wait({getting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                getting.cancel()
            if self._reading.done():
                self._reading.result()
            offer = getting.result()
            if offer.job_id not in self._withdrawn:
                return offer

    @contextmanager
    def watching(self, job_id: str, withdraw: Callable[[], None]) -> Iterator[None]:
        self._withdraw[job_id] = withdraw
        if job_id in self._withdrawn:
            withdraw()
        try:
            yield
        finally:
            del self._withdraw[job_id]

    async def close(self) -> None:
        """Stop reading and hang up."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        """Take messages until the connection ends, which is an error: DeskUnreachable or DeskRefused."""
        while True:
            try:
                message = await self._socket.receive()
            except TimeoutError:
                raise DeskUnreachable("The desk has been silent for too long.") from None
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
                continue
            if self._socket.close_code == REVOKED:
                for withdraw in list(self._withdraw.values()):
                    withdraw()
                raise DeskRefused(401, "unauthorized", "This device was revoked at the desk; pair it again.")
            raise DeskUnreachable(f"The desk ended the connection ({self._socket.close_code}).")

    def _take(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind = message["type"]
            job_id = str(message.get("job_id", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("The desk sent a message that this agent does not understand.")
            return
        if kind == "job":
            self._jobs.put_nowait(JobOffer.read(message))
        elif kind == "cancel":
            self._withdrawn = {job_id}
            if job_id in self._withdraw:
                self._withdraw[job_id]()
        elif kind == "error":
            log.warning("The desk refused a message: %s", str(message.get("error"))[:300])


@asynccontextmanager
async def orders_of(desk: Desk) -> AsyncIterator[Orders]:
    """The socket if the desk and the network have one, else the long poll. Raises as `Desk` does."""
    try:
        socket = await desk.open_socket()
    except DeskRefused as error:
        if error.status == 401:
            raise
        # An older desk, or a proxy between that knows no WebSockets.
        log.info("No WebSocket to the desk (%s); asking for work instead.", error)
        yield Asking(desk)
        return
    listening = Listening(socket)
    try:
        yield listening
    finally:
        await listening.close()
