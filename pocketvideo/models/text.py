"""The text encoder: transformers' Qwen2 with a small byte-level tokenizer, as MobileI2V uses Qwen2-0.5B."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2Model

PAD, END = "<pad>", "<end>"
MAX_TOKENS = 32


class PocketTextEncoder(nn.Module):
    """Qwen2's hidden states for right-padded prompts.

    Args:
        config: keyword arguments of `transformers.Qwen2Config`.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = dict(config)
        # The plain attention traces into ONNX without a mask helper that looks at data.
        self.model = Qwen2Model(Qwen2Config(**config, use_cache=False, attn_implementation="eager"))

    @property
    def width(self) -> int:
        return int(self.model.config.hidden_size)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask `[B, L]` (int64) to features `[B, L, D]`; features of padding are zero."""
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return hidden * attention_mask[..., None].to(hidden.dtype)


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE: every text has tokens, those of `texts` have few."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode_prompts(
    tokenizer: Tokenizer, prompts: list[str], max_tokens: int = MAX_TOKENS
) -> tuple[Tensor, Tensor]:
    """Ids and mask, both `[B, max_tokens]` int64.

    Prompts are lower-cased, cut to fit and closed by one end token, so that the empty prompt (the
    unconditional one of classifier-free guidance) still has a token to attend to.
    """
    pad, end = tokenizer.token_to_id(PAD), tokenizer.token_to_id(END)
    if pad is None or end is None:
        raise ValueError(f"The tokenizer lacks {PAD} or {END}: use the one of a PocketVideo model file.")
    ids = torch.full((len(prompts), max_tokens), pad, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        words = [*tokenizer.encode(prompt.strip().lower()).ids[: max_tokens - 1], end]
        ids[row, : len(words)] = torch.tensor(words)
        mask[row, : len(words)] = 1
    return ids, mask
