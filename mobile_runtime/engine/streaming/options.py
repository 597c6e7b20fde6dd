"""How onnxruntime is set up on a device."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass

import numpy as np
import onnxruntime

log = logging.getLogger(__name__)

# An ONNX model that gives out its one number: onnxruntime gives memory back at the end of a run only.
_IDENTITY = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a001012"
)


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


def give_back() -> None:
    """Give the arena's free pages back to the system.

    When a network is closed, not after each pass: an arena that shrinks and grows with every pass is cut up
    and grew from 206 to 275 MB within six.
    """
    run = onnxruntime.RunOptions()
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    _identity().run(None, {"x": np.zeros(1, np.float32)}, run)


@functools.cache
def _identity() -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(
        _IDENTITY, SessionOptions(1).build(), providers=["CPUExecutionProvider"]
    )


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
