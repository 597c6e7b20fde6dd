"""The agent's life: ask each paired desk for work, do one job at a time, come back after every break."""

from __future__ import annotations

import asyncio
import logging
import random

from .desk import Desk, pinned_context
from .errors import AgentError, DeskRefused, DeskUnreachable
from .home import Home, Pairing
from .job import do_job
from .limits import Limits
from .progress import ProgressLine

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0


class Agent:
    """Runs jobs for the desks that `home` is paired with."""

    def __init__(
        self, home: Home, line: ProgressLine, *, once: bool = False, limits: Limits | None = None
    ) -> None:
        self._home = home
        self._line = line
        self._once = once
        self._limits = limits
        self._one_job = asyncio.Lock()
        self._job_is_over = False

    async def run(self) -> bool:
        """Serve until cancelled; with `once`, until one job is over: True if its result is at the desk."""
        pairings = self._home.pairings()
        if not pairings:
            raise AgentError("This device is not paired with any desk; run the command `pair` first.")
        pending = {asyncio.create_task(self._serve(pairing)) for pairing in pairings}
        succeeded = False
        try:
            # With several desks, one that turned us away does not end the work for the others.
            while pending and not (self._once and self._job_is_over):
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
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
                    while True:
                        if (offer := await desk.next_job()) is None:
                            continue
                        async with self._one_job:
                            self._line.say(f"Job {offer.job_id[:8]} from {pairing.desk_name}.")
                            succeeded = await do_job(desk, self._home, offer, self._line, self._limits)
                        if self._once:
                            self._job_is_over = True
                            return succeeded
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
