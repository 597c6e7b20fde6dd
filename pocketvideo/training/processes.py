"""One process or several: how a run finds the others that it was started with."""

from __future__ import annotations

import torch
from accelerate import Accelerator


def make_accelerator(precision: str = "no") -> Accelerator:
    """accelerate's handle on devices and processes, for `torchrun` and `accelerate launch` alike.

    accelerate takes processes on CPUs for strangers to each other, each with its own run in the same folder,
    unless it is told that a CPU is meant.
    """
    return Accelerator(mixed_precision=precision, cpu=not torch.accelerator.is_available())
