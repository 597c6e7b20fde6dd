"""One job on the device: fetch, verify, self-test; a run goes on, and is sent (docs/protocol.md 6 to 9)."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..bundle import Bundle, BundleError, Store
from ..engine import EngineError, RunResult, Sessions, run_bundle
from .desk import Desk, JobOffer
from .errors import AgentError, DeskRefused, DeskUnreachable, JobCancelled
from .fetch import fetch_bundle
from .home import Home
from .limits import Limits
from .orders import Asking, Orders
from .progress import ProgressLine
from .report import RunShares, device_facts, plain_json
from .reporter import Reporter
from .testing import known_test, test_bundle

log = logging.getLogger(__name__)

T = TypeVar("T")

Step: TypeAlias = tuple[str, Callable[[], Coroutine[Any, Any, None]]]

UPLOAD_TRIES = 8


async def do_job(
    desk: Desk,
    home: Home,
    offer: JobOffer,
    line: ProgressLine,
    limits: Limits | None = None,
    orders: Orders | None = None,
    sessions: Sessions | None = None,
) -> bool:
    """Do one job to its end; True if the desk has its result, False if the job failed or was withdrawn.

    `orders` may hear of a withdrawal before the reporter does; `sessions` are what earlier jobs loaded.
    Raises DeskUnreachable when the desk is gone; it hands the job out again, and what is here stays here.
    """
    reporter = Reporter(desk, offer.job_id, line)
    reporting = asyncio.create_task(reporter.run())
    try:
        with (orders or Asking(desk)).watching(offer.job_id, reporter.withdraw):
            await _work(desk, home, offer, reporter, limits or Limits(), sessions)
        ended = "bundle" if offer.kind == "install" else "result"
        where = "on this device, ready to be run" if offer.kind == "install" else "at the desk"
        line.say(f"The {ended} of job {offer.job_id[:8]} is {where}.")
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
        reason = f"The device's disk refused: {error.strerror}." if isinstance(error, OSError) else str(error)
        line.say(f"Job {offer.job_id[:8]} failed: {reason}")
        await _tell_failure(desk, offer, reason)
        return False
    except Exception as error:
        # A bug must reach the desk's user, too, or the desk would wait for a device that has given up.
        log.exception("Job %s failed unexpectedly.", offer.job_id[:8])
        await _tell_failure(desk, offer, f"The device's agent failed ({type(error).__name__}: {error}).")
        return False
    finally:
        reporter.cancel.set()
        reporting.cancel()
        # Not by a suppressed CancelledError: the one that ends this process may arrive here as well.
        await asyncio.gather(reporting, return_exceptions=True)


async def _work(
    desk: Desk, home: Home, offer: JobOffer, reporter: Reporter, limits: Limits, sessions: Sessions | None
) -> None:
    clock = [time.monotonic()]
    store = Store(home.store, limits.quota)
    bundle = await _unless_withdrawn(reporter, fetch_bundle(desk, store, offer.bundle_id, reporter.update))
    clock.append(time.monotonic())
    tested = await _test_once(home, bundle, reporter, limits, sessions)
    clock.append(time.monotonic())
    facts = {"device": device_facts(), "attempt": offer.attempt, "self_test": tested}
    if offer.kind == "install":
        await reporter.flush()
        report = {**facts, "seconds": _laps(("fetch", "self_test"), clock)}
        await _deliver([("report", lambda: desk.done(offer.job_id, plain_json(report)))], reporter)
        return
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
                sessions=sessions,
            ),
        )
        clock.append(time.monotonic())
        report = {
            **facts,
            "seconds": _laps(("fetch", "self_test", "run"), clock),
            "operations": [
                {"id": op["id"], "op": op["op"], "seconds": round(result.timings[op["id"]], 3)}
                for op in bundle.manifest["plan"]
            ],
            "evaluations": result.evaluations,
            "graphs_loaded": result.graphs_loaded,
            "leap_steps": result.leap_steps,
            "values": result.values,
            "peak_rss_bytes": result.peak_rss_bytes,
            "weights": result.weights,
        }
        await _send(desk, offer, result, plain_json(report), reporter)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _laps(names: tuple[str, ...], clock: list[float]) -> dict[str, float]:
    laps = (round(after - before, 3) for before, after in itertools.pairwise(clock))
    return dict(zip(names, laps, strict=True))


async def _test_once(
    home: Home, bundle: Bundle, reporter: Reporter, limits: Limits, sessions: Sessions | None
) -> dict[str, Any]:
    if (known := known_test(home, bundle)) is not None:
        return known
    reporter.update("self_test", 0.0, "comparing every component with what the desk computed")
    return await _in_thread(
        reporter,
        lambda: test_bundle(
            home,
            bundle,
            limits,
            lambda event: reporter.update("self_test", event.fraction, event.op),
            reporter.cancel,
            sessions,
        ),
    )


async def _send(
    desk: Desk, offer: JobOffer, result: RunResult, report: dict[str, Any], reporter: Reporter
) -> None:
    frames = result.frames
    shape = int(frames.shape[0]), int(frames.shape[1]), int(frames.shape[2])
    steps: list[Step] = [
        (
            "frames",
            lambda: desk.send_frames(offer.job_id, shape, np.ascontiguousarray(frames).data.cast("B")),
        ),
        ("video", lambda: desk.send_video(offer.job_id, Path(result.video_path))),
        ("report", lambda: desk.done(offer.job_id, report)),
    ]
    await _deliver(steps, reporter)


async def _deliver(steps: list[Step], reporter: Reporter) -> None:
    """Send each part of a result; a step is tried again while the desk is out of reach."""
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
