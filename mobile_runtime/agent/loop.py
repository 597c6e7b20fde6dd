"""The agent's life: ask each paired desk for work, do one job at a time, come back after every break."""

from __future__ import annotations

import asyncio
import logging
import random

from .desk import Desk, pinned_context
from .errors import AgentError, DeskRefused, DeskUnreachable
from .home import Home, Pairing
from .job import do_job
from .progress import ProgressLine

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0


class Agent:
    """Runs jobs for the desks that `home` is paired with."""

    def __init__(self, home: Home, line: ProgressLine, *, once: bool = False, threads: int | None = None) -> None:
        self._home = home
        self._line = line
        self._once = once
        self._threads = threads
        self._one_job = asyncio.Lock()

    async def run(self) -> bool:
        """Serve until cancelled; with `once`, until one job is over: True if its result is at the desk."""
        pairings = self._home.pairings()
        if not pairings:
            raise AgentError("This device is not paired with any desk; run the command `pair` first.")
        tasks = [asyncio.create_task(self._serve(pairing)) for pairing in pairings]
        try:
            done, _ = await asyncio.wait(
                tasks, return_when=asyncio.FIRST_COMPLETED if self._once else asyncio.ALL_COMPLETED
            )
            return all([task.result() for task in done])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, pairing: Pairing) -> bool:
        context = pinned_context(pairing.certificate)
        pause = FIRST_PAUSE
        told = False
        while True:
            try:
                async with Desk(pairing.host, pairing.port, context, pairing.token) as desk:
                    while True:
                        if not told:
                            entry = await desk.own_entry()
                            self._line.say(f"Connected to {pairing.desk_name} as {entry.get('name', '?')}.")
                            told = True
                        offer = await desk.next_job()
                        pause = FIRST_PAUSE
                        if offer is None:
                            continue
                        async with self._one_job:
                            self._line.say(f"Job {offer.job_id[:8]} from {pairing.desk_name}.")
                            succeeded = await do_job(desk, self._home, offer, self._line, self._threads)
                        if self._once:
                            return succeeded
            except DeskUnreachable as error:
                if told or pause == FIRST_PAUSE:
                    self._line.say(f"{error} Trying again.")
                told = False
            except DeskRefused as error:
                if error.status == 401:
                    self._home.remove(pairing.desk_id)
                    raise AgentError(
                        f"{pairing.desk_name} does not know this device any more, so the pairing is removed; pair again."
                    ) from error
                log.warning("%s answered: %s", pairing.desk_name, error)
            # Some jitter, so that several devices do not all come back in the same moment.
            await asyncio.sleep(pause * random.uniform(0.7, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)
