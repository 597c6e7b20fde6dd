"""The text encoder as ComfyUI's CLIP."""

from __future__ import annotations

import functools
import logging
from typing import Any

import comfy.model_management
import comfy.sd
import comfy.supported_models_base
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from ...pocketvideo.models import PocketTextEncoder, encode_prompts

logger = logging.getLogger(__name__)

KEY = "pocketvideo"


class HostTokenizer:
    """Turns a prompt into the token lists that ComfyUI carries about.

    Parentheses are words here, not weights: a prompt means the same on the desk and on a device.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, **_: Any):
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def tokenize_with_weights(
        self, text: str, return_word_ids: bool = False, **_: Any
    ) -> dict[str, list[list[tuple[Any, ...]]]]:
        """`{"pocketvideo": [[(token, 1.0), ...]]}`, without padding."""
        ids, mask = encode_prompts(self.tokenizer, [text], self.max_tokens)
        tokens = ids[0][mask[0] == 1].tolist()
        if len(tokens) == self.max_tokens:
            logger.warning(
                "The prompt fills the %d tokens of this model: what does not fit is left out.",
                self.max_tokens,
            )
        if return_word_ids:
            return {KEY: [[(token, 1.0, index + 1) for index, token in enumerate(tokens)]]}
        return {KEY: [[(token, 1.0) for token in tokens]]}

    def untokenize(self, pairs: list[tuple[Any, ...]]) -> list[tuple[Any, str]]:
        """Each token with its text."""
        return [(pair, self.tokenizer.id_to_token(pair[0]) or "") for pair in pairs]

    def decode(self, token_ids: list[int], skip_special_tokens: bool = True) -> str:
        """Token ids back to text."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens))

    def state_dict(self) -> dict[str, Tensor]:
        """Nothing: the tokenizer travels in the model file's metadata."""
        return {}


class HostTextEncoder(nn.Module):
    """The text encoder with the calls that ComfyUI's CLIP makes.

    It is built by the CLIP object, which says where; it stays in float32, the precision a device computes in.
    """

    def __init__(
        self,
        config: dict[str, Any],
        max_tokens: int,
        pad: int,
        device: torch.device | None = None,
        dtype: torch.dtype = torch.float32,
        model_options: dict[str, Any] | None = None,
    ):
        super().__init__()
        self.transformer = PocketTextEncoder(config).to(device=device, dtype=dtype)
        self.max_tokens = max_tokens
        self.pad = pad
        self.dtypes = {dtype}
        self.execution_device: torch.device | None = None

    def set_clip_options(self, options: dict[str, Any]) -> None:
        """ComfyUI says here where to compute; layer choices do not apply to this encoder."""
        self.execution_device = options.get("execution_device", self.execution_device)

    def reset_clip_options(self) -> None:
        """Back to where the weights are."""
        self.execution_device = None

    def encode_token_weights(self, tokens: dict[str, Any]) -> tuple[Tensor, None, dict[str, Tensor]]:
        """Features `[B, L, D]`, no pooled vector, and the mask `[B, L]` under `attention_mask`."""
        rows = tokens[KEY]
        ids = torch.full((len(rows), self.max_tokens), self.pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for index, row in enumerate(rows):
            words = torch.tensor([pair[0] for pair in row[: self.max_tokens]], dtype=torch.int64)
            ids[index, : len(words)] = words
            mask[index, : len(words)] = 1
        device = self.execution_device or next(self.parameters()).device
        # Where memory is short the host may have moved a part only, and transformers' layers cannot cast.
        self.transformer.to(device)
        with torch.no_grad():
            features = self.transformer(ids.to(device), mask.to(device))
        home = comfy.model_management.intermediate_device()
        return features.to(device=home, dtype=torch.float32), None, {"attention_mask": mask.to(home)}

    def load_sd(self, state: dict[str, Tensor]) -> tuple[list[str], list[str]]:
        """Load the encoder's weights, all of them. Raises RuntimeError where they do not fit."""
        self.transformer.load_state_dict(state, strict=True)
        return [], []


def make_clip(
    config: dict[str, Any], tokenizer: Tokenizer, max_tokens: int, pad: int, state: dict[str, Tensor]
) -> comfy.sd.CLIP:
    """A CLIP from the text encoder's config, tokenizer and weights."""
    target = comfy.supported_models_base.ClipTarget(
        functools.partial(HostTokenizer, tokenizer, max_tokens),
        functools.partial(HostTextEncoder, config, max_tokens, pad),
    )
    parameters = sum(value.numel() for value in state.values())
    clip = comfy.sd.CLIP(
        target, parameters=parameters, model_options={"dtype": torch.float32}, disable_dynamic=True
    )
    clip.load_sd(state)
    return clip
