"""How onnxruntime is set up on a device."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass

import onnxruntime

log = logging.getLogger(__name__)

# Gives the pages of free activations back to the system when the run is over; the next run faults them in.
GIVE_BACK = onnxruntime.RunOptions()
GIVE_BACK.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")


@dataclass(frozen=True)
class SessionOptions:
    """`threads` per graph; None takes onnxruntime's choice, the physical cores."""

    threads: int | None = None

    def build(self) -> onnxruntime.SessionOptions:
        """The options of one session."""
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        if self.threads is not None:
            options.intra_op_num_threads = self.threads
        # Shapes change from run to run, so a memory plan of the last run is of no use.
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        _share_activations()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # One session per graph means one thread pool per graph: a waiting pool must not burn another's cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options


@functools.cache
def _share_activations() -> None:
    """Let all sessions of this process take their activations from one arena.

    With an arena for each kind of block the activations of all kinds are resident, although one block runs
    at a time: 339 MB instead of 253 for a streamed `mobilei2v_270m` at 17 x 384 x 640.
    """
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg({}))
    except Exception as error:
        # Somebody else in this process has registered one, which serves as well.
        log.debug("no arena of our own: %s", error)
