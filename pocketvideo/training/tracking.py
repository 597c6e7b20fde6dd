"""A live view of a run in TensorBoard, by accelerate's tracker: losses as curves, samples as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from accelerate.tracking import TensorBoardTracker
from PIL import Image

TRACKERS = ("tensorboard",)


class LiveView:
    """Writes event files into `directory/tensorboard`; watch them with `tensorboard --logdir`.

    A run that goes on takes back what it had written after the `step` of its checkpoint. Made in the main
    process alone. Raises ModuleNotFoundError, in a sentence, where the package is missing.
    """

    def __init__(self, directory: Path, step: int):
        self._tracker: Any = TensorBoardTracker("tensorboard", directory, purge_step=step + 1)
        try:
            self._tracker.start()
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'TensorBoard is not installed: run pip install "pocketvideo[train]", or leave --tracker out.'
            ) from error

    def losses(self, values: dict[str, float], step: int) -> None:
        """One point per curve."""
        self._tracker.log(values, step)

    def picture(self, name: str, picture: Image.Image, step: int) -> None:
        """One picture under a name; later ones stand beside it, by their step."""
        pixels = np.asarray(picture.convert("RGB"))[None]
        self._tracker.log_images({name: pixels}, step, dataformats="NHWC")

    def close(self) -> None:
        """Write what is not yet written."""
        self._tracker.finish()
