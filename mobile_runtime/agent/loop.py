"""The agent's life: hear from each paired desk, do one job at a time, come back after every break."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import Any

from ..bundle import Store
from ..engine import Sessions
from .desk import Desk, pinned_context
from .errors import AgentError, DeskRefused, DeskUnreachable
from .home import Home, Pairing
from .job import do_job
from .limits import Limits
from .orders import orders_of
from .progress import ProgressLine
from .send_back import send_all
from .status import status_of
from .testing import RUNTIME

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
# Results made beside this process, by the command `make`, are looked for this often.
SHELF_SECONDS = 5.0
LOOK_SECONDS = 2.0
STATUS_SECONDS = 5.0
NEWS_BYTES = 2**20


class Agent:
    """Does jobs for the desks that `home` is paired with; with `send_back` sends them what was made here."""

    def __init__(
        self,
        home: Home,
        line: ProgressLine,
        *,
        once: bool = False,
        limits: Limits | None = None,
        send_back: bool = False,
    ) -> None:
        self._home = home
        self._line = line
        self._once = once
        self._limits = limits or Limits()
        self._send_back = send_back
        self._sessions = Sessions()
        self._one_job = asyncio.Lock()
        self._job_is_over = False

    async def run(self) -> bool:
        """Serve until cancelled; with `once`, until one job is over: True if its result is at the desk."""
        if not self._home.pairings():
            raise AgentError("This device is not paired with any desk; run the command `pair` first.")
        pending: set[asyncio.Task[bool]] = set()
        known: set[str] = set()
        succeeded = False
        try:
            # With several desks, one that turned us away does not end the work for the others; one that the
            # command `pair` adds meanwhile is served, too.
            while not (self._once and self._job_is_over):
                new = [pairing for pairing in self._home.pairings() if pairing.device_id not in known]
                known |= {pairing.device_id for pairing in new}
                pending |= {asyncio.create_task(self._serve(pairing)) for pairing in new}
                if not pending:
                    break
                done, pending = await asyncio.wait(
                    pending, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                results = [task.result() for task in done]
                succeeded = succeeded or any(results)
            return succeeded
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def _serve(self, pairing: Pairing) -> bool:
        """Work for one desk until it turns us away, or with `once` for one job: True if that succeeded."""
        pause = FIRST_PAUSE
        silent = False
        while True:
            try:
                context = pinned_context(pairing.certificate)
                async with Desk(pairing.host, pairing.port, context, pairing.token) as desk:
                    entry = await desk.own_entry()
                    self._line.say(f"Connected to {pairing.desk_name} as {entry.get('name', '?')}.")
                    pause, silent = FIRST_PAUSE, False
                    return await self._connected(desk, pairing)
            except DeskUnreachable as error:
                if not silent:
                    self._line.say(f"{error} Trying again until it does.")
                silent = True
            except DeskRefused as error:
                if error.status == 401:
                    self._home.remove(pairing.desk_id)
                    self._line.say(
                        f"{pairing.desk_name} no longer knows this device; pair it again to use it."
                    )
                    return False
                log.warning("%s answered: %s", pairing.desk_name, error)
            except AgentError as error:
                self._line.say(str(error))
                return False
            # Some jitter, so that several devices do not all come back in the same moment.
            await asyncio.sleep(pause * random.uniform(0.7, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connected(self, desk: Desk, pairing: Pairing) -> bool:
        """Do jobs until the connection ends, which is an error; with `once`, one: True if that succeeded."""
        telling = _StatusTeller(desk, Store(self._home.store, self._limits.quota))
        await telling.tell()
        beside = [asyncio.create_task(telling.run())]
        if self._send_back:
            beside.append(asyncio.create_task(self._send_results(desk, pairing)))
        try:
            async with orders_of(desk) as orders:
                while True:
                    offer = await orders.next()
                    async with self._one_job:
                        self._line.say(f"Job {offer.job_id[:8]} from {pairing.desk_name}.")
                        succeeded = await do_job(
                            desk, self._home, offer, self._line, self._limits, orders, self._sessions
                        )
                    if self._once:
                        self._job_is_over = True
                        return succeeded
                    await telling.tell()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _send_results(self, desk: Desk, pairing: Pairing) -> None:
        while True:
            # The work for the desk goes on meanwhile, and it is that which notices a connection's end.
            with contextlib.suppress(AgentError):
                for made in await send_all(desk, pairing, self._home):
                    self._line.say(f"Sent {made.name!r} to {pairing.desk_name}.")
            await asyncio.sleep(SHELF_SECONDS)


class _StatusTeller:
    """Tells one desk what this device holds and what is free, when that has changed.

    The desk refuses by it what cannot fit, so room that somebody made here must get known there.
    """

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk, self._store = desk, store
        self._told: dict[str, Any] | None = None

    async def run(self) -> None:
        """Look every few seconds; a desk out of reach is told at the next connection."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            with contextlib.suppress(AgentError):
                await self.tell()

    async def tell(self) -> None:
        """Tell it now if it is news. Raises as `Desk` does; a desk that knows no status is left alone."""
        status = await asyncio.to_thread(status_of, self._store, RUNTIME)
        told = self._told or {"free_bytes": -NEWS_BYTES}
        news = abs(status["free_bytes"] - told["free_bytes"]) >= NEWS_BYTES
        if not news and status["bundles"] == told["bundles"]:
            return
        self._told = status
        try:
            await self._desk.put_status(status)
        except DeskRefused as error:
            if error.status == 401:
                raise
            log.info("The desk does not take this device's status: %s", error)
