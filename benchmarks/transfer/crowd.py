"""Fifty paired devices that stay connected while ten of them pull a bundle at once."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path

from comfyui_pocketvideo.mobile_runtime.agent.desk import Desk, pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.fetch import fetch_bundle
from comfyui_pocketvideo.mobile_runtime.agent.handshake import read_uri
from comfyui_pocketvideo.mobile_runtime.agent.home import Home, Pairing
from comfyui_pocketvideo.mobile_runtime.agent.orders import Orders, orders_of
from comfyui_pocketvideo.mobile_runtime.agent.pair import pair
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, Store

from transfer.desk import BenchDesk


async def pair_devices(desk: BenchDesk, folder: Path, count: int) -> list[Pairing]:
    """`count` devices, each paired through the protocol."""
    desk.tell(do="pair", count=count)
    pairings = []
    for number in range(count):
        invitation = read_uri((await asyncio.to_thread(desk.hear))["uri"])
        home = Home(folder / f"device-{number}")
        pairings.append(
            await pair(home, invitation, f"Device {number}", lambda code: None, lambda code: True)
        )
    return pairings


async def pull_at_once(
    desk: BenchDesk, pairings: list[Pairing], pulling: int, bundle: Bundle, folder: Path
) -> tuple[float, int]:
    """Seconds until `pulling` devices have the bundle, and how many of all are connected when they do."""
    async with AsyncExitStack() as stack:
        lines: list[tuple[Desk, Orders]] = []
        for pairing in pairings:
            context = pinned_context(pairing.certificate)
            line = await stack.enter_async_context(Desk(pairing.host, pairing.port, context, pairing.token))
            lines.append((line, await stack.enter_async_context(orders_of(line))))
        waiting = [asyncio.create_task(orders.next()) for _, orders in lines]
        for pairing in pairings[:pulling]:
            desk.tell(do="install", device_id=pairing.device_id, bundle=str(folder))
        offers = await asyncio.gather(*waiting[:pulling])

        async def pull(number: int) -> None:
            line, _ = lines[number]
            store = Store(folder.parent / "stores" / str(number))
            await fetch_bundle(line, store, bundle.id, lambda stage, fraction, message: None)
            await line.done(offers[number].job_id, {})

        started = time.perf_counter()
        await asyncio.gather(*(pull(number) for number in range(pulling)))
        seconds = time.perf_counter() - started
        for _ in range(pulling):
            answer = await asyncio.to_thread(desk.hear)
            if "error" in answer:
                raise SystemExit(answer["error"])
        desk.tell(do="connected")
        connected = (await asyncio.to_thread(desk.hear))["connected"]
        for task in waiting[pulling:]:
            if task.done():
                raise SystemExit("A device that only waited lost its connection.")
            task.cancel()
        await asyncio.gather(*waiting[pulling:], return_exceptions=True)
    return seconds, int(connected)
