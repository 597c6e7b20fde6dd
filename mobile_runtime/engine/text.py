"""Prompts to token ids, and text features that were made on the desk.

What a prompt goes through (case, end token) is written in the bundle's tokenizer.json.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from ..bundle import open_tensors
from .errors import EngineError


class PromptTokenizer:
    """A `tokenizers` tokenizer that pads to a fixed length on the right."""

    def __init__(self, data: bytes, max_tokens: int, pad_id: int) -> None:
        """Take the bytes of a tokenizer.json. Raises EngineError when they are not one."""
        try:
            self._tokenizer = Tokenizer.from_str(data.decode("utf-8"))
        except Exception as error:
            raise EngineError(f"The bundle's tokenizer cannot be read ({error}); export it again.") from error
        self._max_tokens = max_tokens
        self._pad_id = pad_id
        # Cuts before the tokens that the post-processor adds, so a long prompt keeps its end token.
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()

    def encode(self, prompt: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids and mask, both `[1, max_tokens]` int64; the mask is 1 on tokens and 0 on padding."""
        found = self._tokenizer.encode(prompt).ids
        ids = np.full((1, self._max_tokens), self._pad_id, np.int64)
        mask = np.zeros_like(ids)
        ids[0, : len(found)] = found
        mask[0, : len(found)] = 1
        return ids, mask


def read_features(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Context `[1, L, D]` and mask `[1, L]` of a file of text features, float32.

    Raises EngineError for other tensors, WeightsError for a file that is none.
    """
    tensors = open_tensors(path)
    if tensors.keys() != {"context", "mask"}:
        raise EngineError("The bundle's encoded prompt does not hold text features; export the bundle again.")
    context, mask = tensors["context"], tensors["mask"]
    if context.ndim != 3 or context.shape[:2] != mask.shape or len(mask) != 1:
        raise EngineError(
            f"The bundle's encoded prompt has the shape {context.shape} and its mask {mask.shape}, which do"
            " not fit together; export the bundle again."
        )
    return context.astype(np.float32), mask.astype(np.float32)
