"""The text encoder as stages: embeddings with the mask, one stage per layer, the final norm."""

import torch
from torch import Tensor, nn

from ..models import MASKED, PocketTextEncoder
from .errors import ExportError
from .forms import deferred
from .stages import Axes, Component, Stage


class _Embed(nn.Module):
    """Embeddings, rotary tables and the causal mask with padding, as an additive bias."""

    def __init__(self, encoder: PocketTextEncoder) -> None:
        super().__init__()
        self.embed_tokens = encoder.model.embed_tokens
        self.rotary_emb = encoder.model.rotary_emb

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden = self.embed_tokens(input_ids)
        positions = torch.arange(input_ids.shape[1])
        cos, sin = self.rotary_emb(hidden, positions[None])
        causal = (positions[None, :] <= positions[:, None]).to(hidden.dtype)
        keep = causal[None, None] * attention_mask.to(hidden.dtype)[:, None, None, :]
        return hidden, (1 - keep) * MASKED, cos, sin


class _Layer(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, hidden: Tensor, bias: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        out: Tensor = self.layer(hidden, attention_mask=bias, position_embeddings=(cos, sin))
        return out


class _Finish(nn.Module):
    def __init__(self, encoder: PocketTextEncoder) -> None:
        super().__init__()
        self.norm = encoder.model.norm

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        out: Tensor = self.norm(hidden)
        return out * attention_mask[..., None].to(hidden.dtype)


def text_component(encoder: PocketTextEncoder, max_tokens: int) -> Component:
    """Stages of Qwen2. Raises `ExportError` for one that attends in windows shorter than a prompt."""
    config = encoder.model.config
    if "sliding_attention" in config.layer_types and config.sliding_window < max_tokens:
        raise ExportError(
            f"The text encoder attends in windows of {config.sliding_window} tokens, which is not exported; "
            f"use one whose window is at least {max_tokens} tokens."
        )
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    axes = {
        "input_ids": Axes(("batch", "length"), torch.int64),
        "attention_mask": Axes(("batch", "length"), torch.int64),
        "hidden": Axes(("batch", "length", config.hidden_size)),
        "text_bias": Axes(("batch", 1, "length", "length")),
        "text_cos": Axes((1, "length", head)),
        "text_sin": Axes((1, "length", head)),
        "context": Axes(("batch", "length", config.hidden_size)),
    }
    shared = ("text_bias", "text_cos", "text_sin")
    given = ("input_ids", "attention_mask")
    stages = [Stage("embed", "embed", deferred(_Embed, encoder), given, ("hidden", *shared))]
    for index, layer in enumerate(encoder.model.layers):
        stages.append(
            Stage("layer", f"layer_{index:02}", deferred(_Layer, layer), ("hidden", *shared), ("hidden",))
        )
    stages.append(
        Stage(
            "finish",
            "finish",
            deferred(_Finish, encoder),
            ("hidden", "attention_mask"),
            ("context",),
        )
    )

    def reference(**values: Tensor) -> Tensor:
        return encoder(values["input_ids"], values["attention_mask"])

    return Component(
        "text_encoder", "text_encoder", given, ("context",), tuple(stages), axes, reference, config.vocab_size
    )
