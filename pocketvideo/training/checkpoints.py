"""Checkpoints that survive a kill: accelerate's state, written beside the old one and then swapped."""

from __future__ import annotations

import shutil
from pathlib import Path

from accelerate import Accelerator


def save_checkpoint(accelerator: Accelerator, directory: Path) -> None:
    """Write `directory/checkpoint`: a kill at any moment leaves the old one or the new one whole."""
    target = directory / "checkpoint"
    fresh, old = target.with_name("checkpoint.new"), target.with_name("checkpoint.old")
    if accelerator.is_main_process:
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(fresh))
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        if target.exists():
            target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Accelerator, directory: Path) -> bool:
    """Load what `save_checkpoint` left, also after a kill in the middle of it; False where there is none."""
    target, old = directory / "checkpoint", directory / "checkpoint.old"
    if accelerator.is_main_process and not target.exists() and old.exists():
        old.rename(target)
    accelerator.wait_for_everyone()
    if not target.exists():
        return False
    accelerator.load_state(str(target))
    return True
