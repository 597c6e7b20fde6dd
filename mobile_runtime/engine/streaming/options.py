"""How onnxruntime is set up on a device."""

from __future__ import annotations

from dataclasses import dataclass

import onnxruntime


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
        # One session per graph means one thread pool per graph: a waiting pool must not burn another's cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return options
