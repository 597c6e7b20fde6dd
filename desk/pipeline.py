"""From a request to a bundle on disk, and from there onto a device: the work behind every way to send."""

from __future__ import annotations

import contextlib
import logging
import math
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SendCancelled, missing
from .folder import StateFolder, private_folder
from .rates import Rates
from .records import BundleRecords
from .request import Compiled, DeskLookups, SendRequest, compiled
from .values import input_places

if TYPE_CHECKING:
    from ..mobile_runtime.bridge import Bridge, InstallResult, JobEvent
    from ..mobile_runtime.bundle import Bundle

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
# A stage, its share of the whole send, and how far in it the work is (0 to 1, None: unknown).
QUEUED, PLANNING, EXPORTING = "queued", "planning", "exporting"
WAITING, TRANSFERRING, TESTING = "waiting", "transferring", "testing"
# What a device reports (docs/protocol.md) or the bridge says for it, as a state of a send.
DEVICE_STAGES = {
    "queued": WAITING,
    "away": WAITING,
    "download": TRANSFERRING,
    "verify": TESTING,
    "self_test": TESTING,
}

Tell = Callable[[str, float | None, str], None]  # state, fraction of it, words


@dataclass(frozen=True)
class Prepared:
    """An exported bundle and what lists call it."""

    bundle: Bundle
    name: str


@dataclass(frozen=True)
class Workshop:
    """What every send of a process shares. `exporting` lets one export at a time take cores and memory."""

    folder: StateFolder
    exporting: threading.Lock = field(default_factory=threading.Lock)

    @property
    def records(self) -> BundleRecords:
        """What is remembered of the bundles made here."""
        return BundleRecords(self.folder)

    @property
    def rates(self) -> Rates:
        """How fast things went here."""
        return Rates(self.folder)

    def prepare(
        self,
        request: SendRequest,
        lookups: DeskLookups,
        target: Path,
        tell: Tell,
        cancel: threading.Event | None = None,
    ) -> Prepared:
        """Compile and export a request into `target`, which is emptied first.

        Args:
            tell: called with `queued`, `planning`, `exporting`; what it raises ends the work.
            cancel: when set, the work stops before its next unit; finished exports stay in the cache.

        Raises:
            SendCancelled: `cancel` was set.
            WorkflowError, UnsupportedNode, ExportError, DeskError: in one sentence.
        """
        stop = cancel or threading.Event()
        _wait_for(self.exporting, stop, lambda: tell(QUEUED, None, "Waiting for another export"))
        try:
            return self._prepare(request, lookups, target, tell, stop)
        finally:
            self.exporting.release()

    def _prepare(
        self, request: SendRequest, lookups: DeskLookups, target: Path, tell: Tell, cancel: threading.Event
    ) -> Prepared:
        from ..pocketvideo.export import ExportCancelled

        try:
            from ..pocketvideo.export.bundling import export_bundle
        except ImportError as error:
            raise missing(error) from error
        tell(PLANNING, None, "Reading the workflow")
        plan = compiled(request, lookups)
        # What a killed export left there is no bundle, and would be refused.
        shutil.rmtree(target, ignore_errors=True)
        private_folder(target.parent)

        def exporting(done: int, total: int, words: str) -> None:
            tell(EXPORTING, done / max(1, total), words)

        started, before = time.monotonic(), _kept(self.folder.exports)
        try:
            bundle = export_bundle(
                plan.plan,
                plan.model,
                target,
                cache_dir=self.folder.exports,
                precision=request.wanted_precision(),
                prompts=request.prompts,
                progress=exporting,
                cancel=cancel,
            )
        except ExportCancelled as error:
            raise SendCancelled from error
        made = {name: size for name, size in _kept(self.folder.exports).items() if name not in before}
        self.rates.measured("export", _of_bundle(sum(made.values()), request), time.monotonic() - started)
        name = request.name or str(bundle.manifest["name"])
        self._remember(bundle, name, request, lookups, plan)
        return Prepared(bundle, name)

    def _remember(
        self, bundle: Bundle, name: str, request: SendRequest, lookups: DeskLookups, plan: Compiled
    ) -> None:
        if self.records.find(bundle.id) is not None and request.workflow is None:
            return
        prompt = lookups.prepared(request.prompt)

        def compile_prompt(changed: dict[str, Any]) -> Any:
            from ..pocketvideo.export import compile_workflow
            from ..pocketvideo.export.fixed_prompts import with_prompts

            return with_prompts(compile_workflow(changed, request.target, lookups), request.prompts)

        places = input_places(prompt, compile_prompt(prompt), compile_prompt)
        # As the person has it: a model of the Hub keeps its name there.
        self.records.keep(bundle, name, request.prompt, request.workflow, places)

    def install(
        self,
        bridge: Bridge,
        device_id: str,
        bundle: Bundle,
        tell: Tell,
        cancel: threading.Event | None = None,
        *,
        connect_seconds: float = math.inf,
        patience_seconds: float = math.inf,
    ) -> InstallResult:
        """Send a bundle to a device, which tests and keeps it; waits for a device that is away.

        `tell` is called with `waiting`, `transferring`, `testing`. Raises SendCancelled and BridgeError.
        """
        from ..mobile_runtime.bridge import PushCancelled

        began: list[float] = []

        def on_event(event: JobEvent) -> None:
            state = DEVICE_STAGES.get(event.stage, TESTING)
            if state == TRANSFERRING and not began:
                began.append(time.monotonic())
            if state == TESTING and len(began) == 1:
                began.append(time.monotonic())
            tell(state, event.fraction, event.message or event.stage)

        try:
            result = bridge.install(
                device_id,
                bundle,
                on_event,
                (cancel or threading.Event()).is_set,
                connect_seconds=connect_seconds,
                patience_seconds=patience_seconds,
            )
        except PushCancelled as error:
            raise SendCancelled from error
        if len(began) == 2:
            self.rates.measured(f"transfer/{device_id}", result.sent_bytes, began[1] - began[0])
            self.rates.measured("transfer", result.sent_bytes, began[1] - began[0])
        return result


def _kept(exports: Path) -> dict[str, int]:
    """The bytes of every component in the cache: what is new after an export was really made by it."""
    found: dict[str, int] = {}
    for path in (exports / "components").glob("*/**/*"):
        # Another process may be tidying the cache.
        with contextlib.suppress(OSError):
            name = path.relative_to(exports / "components").parts[0]
            found[name] = found.get(name, 0) + (path.stat().st_size if path.is_file() else 0)
    return found


def _of_bundle(made: int, request: SendRequest) -> int:
    """How much of what was made goes into the bundle: fewer bits are made from a copy in float32."""
    from ..pocketvideo.export.dry_run import SHARES

    level = request.wanted_precision().fallback.level
    return made if level == "fp32" else int(made * SHARES[level] / (1 + SHARES[level]))


def _wait_for(lock: threading.Lock, cancel: threading.Event, tell: Callable[[], None]) -> None:
    """Take a lock, patiently and so that it can be cancelled."""
    if cancel.is_set():
        raise SendCancelled
    while not lock.acquire(timeout=LOOK_SECONDS):
        tell()
        if cancel.is_set():
            raise SendCancelled
