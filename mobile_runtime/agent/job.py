"""One job on the device: fetch, verify, self-test, run, send home (docs/protocol.md sections 6 to 9)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import platform
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import onnxruntime

from ..bundle import Bundle, BundleError, Store
from ..engine import EngineError, ProgressEvent, RunResult, run_bundle, self_test
from .desk import Desk, JobOffer
from .errors import AgentError, DeskRefused, DeskUnreachable, JobCancelled
from .fetch import fetch_bundle
from .home import Home
from .progress import ProgressLine
from .reporter import Reporter

log = logging.getLogger(__name__)

T = TypeVar("T")

UPLOAD_TRIES = 8


async def do_job(
    desk: Desk, home: Home, offer: JobOffer, line: ProgressLine, threads: int | None = None
) -> bool:
    """Run one job to its end; True if the desk has its result, False if the job failed or was withdrawn.

    Raises DeskUnreachable while nothing but bytes was gained: the desk hands the job out again and it resumes.
    """
    reporter = Reporter(desk, offer.job_id, line)
    reporting = asyncio.create_task(reporter.run())
    try:
        await _work(desk, home, offer, reporter, threads)
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


async def _work(
    desk: Desk, home: Home, offer: JobOffer, reporter: Reporter, threads: int | None
) -> None:
    started = time.monotonic()
    store = Store(home.store)
    bundle = await _unless_withdrawn(reporter, fetch_bundle(desk, store, offer.bundle_id, reporter.update))
    fetched = time.monotonic()
    tested = await _test_once(home, bundle, reporter)
    folder = home.outputs / f"{offer.job_id[:8]}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    try:
        reporter.update("run", 0.0, "starting")
        result = await _in_thread(
            reporter,
            lambda: run_bundle(
                bundle,
                offer.values,
                threads=threads,
                progress=lambda event: _show(reporter, event),
                cancel=reporter.cancel,
                output_dir=folder,
            ),
        )
        ran = time.monotonic()
        report = {
            "device": device_facts(),
            "attempt": offer.attempt,
            "seconds": {"fetch": round(fetched - started, 3), "run": round(ran - fetched, 3)},
            "timings": _plain(result.timings),
            "evaluations": _plain(result.evaluations),
            "self_test": tested,
        }
        await _send(desk, offer, result, report, reporter)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _test_once(home: Home, bundle: Bundle, reporter: Reporter) -> dict[str, Any]:
    """The bundle's self-test, before its first use on this device and after the engine or runtime changed."""
    runtime = f"onnxruntime {onnxruntime.__version__}"
    path = home.folder / "self-tests" / f"{bundle.id}.json"
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(path.read_bytes())
        if isinstance(known, dict) and known.get("runtime") == runtime:
            return known
    reporter.update("self_test", None, "comparing every component with what the desk computed")
    report = await _in_thread(reporter, lambda: self_test(bundle))
    record = {"runtime": runtime, "result": _plain(report)}
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
        ("frames", lambda: desk.send_frames(offer.job_id, shape, memoryview(frames).cast("B"))),
        ("video", lambda: desk.send_video(offer.job_id, Path(result.video_path))),
        ("report", lambda: desk.done(offer.job_id, report)),
    ]
    for number, (name, step) in enumerate(steps):
        reporter.update("upload", number / len(steps), f"sending the {name}")
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
    """Run engine work in a thread, to its end even when this task is cancelled: memory maps must not outlive it."""
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


def _show(reporter: Reporter, event: ProgressEvent) -> None:
    reporter.update("run", event.fraction, event.message)


def _plain(value: Any) -> Any:
    """`value` as JSON: numpy's numbers and unknown objects have none of their own."""
    return json.loads(json.dumps(value, default=lambda item: item.item() if hasattr(item, "item") else str(item)))
