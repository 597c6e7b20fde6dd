"""A job that ends in the same moment as the agent does not keep the agent alive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.desk import JobOffer
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError
from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from comfyui_pocketvideo.mobile_runtime.agent.job import do_job
from comfyui_pocketvideo.mobile_runtime.agent.progress import ProgressLine


class SlowDesk:
    """A desk in whose hands a report of progress takes a moment to be called off, as over a real network."""

    def __init__(self) -> None:
        self.calling_off = asyncio.Event()
        self.called_off = asyncio.Event()

    async def event(self, *_: Any) -> str:
        try:
            await asyncio.sleep(3600)
        finally:
            self.calling_off.set()
            await self.called_off.wait()
        return "active"

    async def manifest(self, _: str) -> bytes:
        await asyncio.sleep(0.1)
        raise AgentError("There is no such bundle.")

    async def failed(self, *_: Any) -> None:
        return None


async def test_an_end_that_comes_while_the_last_report_is_called_off_is_not_lost(tmp_path: Path) -> None:
    desk = SlowDesk()
    offer = JobOffer(job_id="0" * 32, attempt=1, bundle_id="0" * 64, values={}, kind="run")
    job = asyncio.create_task(do_job(desk, Home(tmp_path), offer, ProgressLine()))  # type: ignore[arg-type]
    await asyncio.wait_for(desk.calling_off.wait(), 60)
    job.cancel()
    desk.called_off.set()
    with pytest.raises(asyncio.CancelledError):
        await job
