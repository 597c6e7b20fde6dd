"""One job on the device: fetch, verify, self-test, run, send home (docs/protocol.md sections 6 to 9)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import logging
import math
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import onnxruntime

from ..bundle import Bundle, BundleError, Store
from ..engine import EngineError, ProgressEvent, RunResult, run_bundle, self_test
from .desk import Desk, JobOffer
from .errors import AgentError, DeskRefused, DeskUnreachable, JobCancelled
from .fetch import fetch_bundle
from .home import Home
from .limits import Limits
from .progress import ProgressLine
from .reporter import Reporter

log = logging.getLogger(__name__)

T = TypeVar("T")

UPLOAD_TRIES = 8


async def do_job(
    desk: Desk, home: Home, offer: JobOffer, line: ProgressLine, limits: Limits | None = None
) -> bool:
    """Run one job to its end; True if the desk has its result, False if the job failed or was withdrawn.

    Raises DeskUnreachable when the desk is gone; it hands the job out again, and what is here stays here.
    """
    reporter = Reporter(desk, offer.job_id, line)
    reporting = asyncio.create_task(reporter.run())
    try:
        await _work(desk, home, offer, reporter, limits or Limits())
        line.say(f"The result of job {offer.job_id[:8]} is at the desk.")
        return True
    except JobCancelled:
        line.say(f"The desk withdrew job {offer.job_id[:8]}.")
        return False
    except DeskUnreachable:
        raise
    except DeskRefused as error:
        if error.status == 401:
            raise
        line.say(f"The desk refused job {offer.job_id[:8]}: {error}")
        await _tell_failure(desk, offer, str(error))
        return False
    except (BundleError, EngineError, AgentError, OSError) as error:
        line.say(f"Job {offer.job_id[:8]} failed: {error}")
        await _tell_failure(desk, offer, str(error))
        return False
    except Exception as error:
        # A bug must reach the desk's user, too, or the desk would wait for a device that has given up.
        log.exception("Job %s failed unexpectedly.", offer.job_id[:8])
        await _tell_failure(desk, offer, f"The device's agent failed ({type(error).__name__}: {error}).")
        return False
    finally:
        reporter.cancel.set()
        reporting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reporting


async def _work(desk: Desk, home: Home, offer: JobOffer, reporter: Reporter, limits: Limits) -> None:
    clock = [time.monotonic()]
    store = Store(home.store)
    bundle = await _unless_withdrawn(reporter, fetch_bundle(desk, store, offer.bundle_id, reporter.update))
    clock.append(time.monotonic())
    tested = await _test_once(home, bundle, reporter, limits)
    clock.append(time.monotonic())
    folder = home.outputs / f"{offer.job_id[:8]}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        shares = RunShares(bundle)
        result = await _in_thread(
            reporter,
            lambda: run_bundle(
                bundle,
                offer.values,
                threads=limits.threads,
                memory_budget=limits.memory_budget,
                progress=lambda event: reporter.update("run", *shares.at(event)),
                cancel=reporter.cancel,
                output_dir=folder,
            ),
        )
        clock.append(time.monotonic())
        fetch, test, run = (round(after - before, 3) for before, after in itertools.pairwise(clock))
        report = {
            "device": device_facts(),
            "attempt": offer.attempt,
            "seconds": {"fetch": fetch, "self_test": test, "run": run},
            "operations": [
                {"id": op["id"], "op": op["op"], "seconds": round(result.timings[op["id"]], 3)}
                for op in bundle.manifest["plan"]
            ],
            "evaluations": result.evaluations,
            "leap_steps": result.leap_steps,
            "values": result.values,
            "peak_rss_bytes": result.peak_rss_bytes,
            "weights": result.weights,
            "self_test": tested,
        }
        await _send(desk, offer, result, plain_json(report), reporter)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _test_once(home: Home, bundle: Bundle, reporter: Reporter, limits: Limits) -> dict[str, Any]:
    """The bundle's self-test, before its first use on this device and after onnxruntime changed."""
    runtime = f"onnxruntime {onnxruntime.__version__}"
    path = home.folder / "self-tests" / f"{bundle.id}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
        if isinstance(known, dict) and known.get("runtime") == runtime:
            return known
    reporter.update("self_test", 0.0, "comparing every component with what the desk computed")
    report = await _in_thread(
        reporter,
        lambda: self_test(
            bundle,
            threads=limits.threads,
            memory_budget=limits.memory_budget,
            progress=lambda event: reporter.update("self_test", event.fraction, event.op),
            cancel=reporter.cancel,
        ),
    )
    record: dict[str, Any] = plain_json({"runtime": runtime, "components": report})
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, path)
    return record


async def _send(
    desk: Desk, offer: JobOffer, result: RunResult, report: dict[str, Any], reporter: Reporter
) -> None:
    """Send frames, video and report; a step is tried again while the desk is out of reach."""
    frames = result.frames
    shape = int(frames.shape[0]), int(frames.shape[1]), int(frames.shape[2])
    steps: list[tuple[str, Callable[[], Coroutine[Any, Any, None]]]] = [
        (
            "frames",
            lambda: desk.send_frames(offer.job_id, shape, np.ascontiguousarray(frames).data.cast("B")),
        ),
        ("video", lambda: desk.send_video(offer.job_id, Path(result.video_path))),
        ("report", lambda: desk.done(offer.job_id, report)),
    ]
    for number, (name, step) in enumerate(steps):
        reporter.update("upload", number / len(steps), f"sending the {name}")
        await reporter.flush()  # the last step ends the job, and the desk hears nothing after it
        for attempt in range(UPLOAD_TRIES):
            try:
                await step()
                break
            except DeskUnreachable:
                if attempt + 1 == UPLOAD_TRIES:
                    raise
                await asyncio.sleep(min(2.0**attempt / 2, 10.0))
            except DeskRefused as error:
                # After a broken answer the second try meets what the first one left: that is success.
                if attempt > 0 and error.code in ("already_received", "job_over"):
                    break
                if error.code in ("job_over", "not_found") or reporter.withdrawn.is_set():
                    raise JobCancelled("The desk withdrew the job.") from error
                raise


async def _tell_failure(desk: Desk, offer: JobOffer, message: str) -> None:
    try:
        await desk.failed(offer.job_id, message)
    except (DeskRefused, DeskUnreachable) as error:
        log.warning("The desk could not be told that job %s failed: %s", offer.job_id[:8], error)


async def _unless_withdrawn(reporter: Reporter, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`, but stop it and raise JobCancelled as soon as the desk withdraws the job."""
    task = asyncio.ensure_future(work)
    withdrawn = asyncio.ensure_future(reporter.withdrawn.wait())
    try:
        await asyncio.wait({task, withdrawn}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise JobCancelled("The desk withdrew the job.")
        return task.result()
    finally:
        for item in (task, withdrawn):
            item.cancel()
        await asyncio.gather(task, withdrawn, return_exceptions=True)


async def _in_thread(reporter: Reporter, work: Callable[[], T]) -> T:
    """Run engine work in a thread, to its end even if this task is cancelled, as it reads memory maps."""
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        reporter.cancel.set()
        await asyncio.gather(future, return_exceptions=True)
        raise
    except Exception as error:
        if reporter.withdrawn.is_set():
            raise JobCancelled("The desk withdrew the job.") from error
        raise


def device_facts() -> dict[str, Any]:
    """What the report says of this device; nothing that identifies its user."""
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cores": os.cpu_count() or 1,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


class RunShares:
    """Turns progress within one op into progress within the run, by a rough share of time per kind of op."""

    SHARES: ClassVar[dict[str, float]] = {
        "denoise": 80.0,
        "decode": 12.0,
        "write_video": 3.0,
        "encode_text": 3.0,
    }

    def __init__(self, bundle: Bundle) -> None:
        self._done: dict[str, tuple[float, float]] = {}
        total = 0.0
        for op in bundle.manifest["plan"]:
            share = self.SHARES.get(op["op"], 1.0)
            self._done[op["id"]] = (total, share)
            total += share
        self._total = total

    def at(self, event: ProgressEvent) -> tuple[float, str]:
        """Fraction of the run and one line of text."""
        before, share = self._done[event.op]
        fraction = min(1.0, (before + share * event.fraction) / self._total)
        steps = f": step {event.step} of {event.total}" if event.total > 1 else ""
        return fraction, f"{event.kind}{steps}"


def plain_json(value: Any) -> Any:
    """`value` as strict JSON: dataclasses become objects, numpy numbers plain ones, infinite ones null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain_json({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
