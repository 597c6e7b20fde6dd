"""T5 (LTX-Video) and UMT5 (Wan), transformers' classes: embeddings, layers of one kind, finish.

T5 has one table of relative positions for all layers, UMT5 one for each; every stage carries its own, which
is small. Attention is not scaled, as in both. A device pads prompts to one length; padding is masked.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.t5.modeling_t5 import T5Attention

from ...models.attention import join_heads, split_heads
from ..forms import deferred
from ..stages import Axes, Component, Stage
from .attending import bias_of
from .source import HELD, Source

SHARED = ("text_bias", "text_buckets")


class _Embed(nn.Module):
    """Embeddings, the mask as a bias, and for every two tokens the row of the table of positions."""

    table: Tensor

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.embedding = network.shared
        self.reach = int(network.config.relative_attention_max_distance)
        distances = torch.arange(-self.reach, self.reach + 1)
        buckets = T5Attention._relative_position_bucket(
            distances,
            bidirectional=True,
            num_buckets=network.config.relative_attention_num_buckets,
            max_distance=self.reach,
        )
        self.register_buffer("table", buckets)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        hidden = self.embedding(input_ids)
        places = torch.arange(input_ids.shape[1])
        # Further away than that all are alike.
        apart = (places[None, :] - places[:, None]).clamp(-self.reach, self.reach) + self.reach
        return hidden, bias_of(attention_mask.to(hidden.dtype)), self.table[apart]


class _Layer(nn.Module):
    def __init__(self, block: Any, positions: nn.Embedding) -> None:
        super().__init__()
        attention = block.layer[0].SelfAttention
        self.heads = attention.n_heads
        self.q, self.k, self.v, self.o = attention.q, attention.k, attention.v, attention.o
        self.norm, self.feed_forward = block.layer[0].layer_norm, block.layer[1]
        self.positions = positions

    def forward(self, hidden: Tensor, bias: Tensor, buckets: Tensor) -> Tensor:
        x = self.norm(hidden)
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) + self.positions(buckets).permute(2, 0, 1)[None] + bias
        out: Tensor = self.feed_forward(hidden + self.o(join_heads(scores.softmax(-1) @ v)))
        return out


class _Finish(nn.Module):
    def __init__(self, network: Any, zero: bool) -> None:
        super().__init__()
        self.norm, self.zero = network.encoder.final_layer_norm, zero

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        out: Tensor = self.norm(hidden)
        return out * attention_mask[..., None].to(out.dtype) if self.zero else out


def t5_component(network: Any, source: Source = HELD, *, zero_padding: bool = False) -> Component:
    """Stages of a T5EncoderModel or UMT5EncoderModel; `zero_padding` makes the features of padding zeros."""
    config = network.config
    blocks = list(network.encoder.block)
    width = config.d_model
    axes = {
        "input_ids": Axes(("batch", "length"), torch.int64),
        "attention_mask": Axes(("batch", "length"), torch.int64),
        "hidden": Axes(("batch", "length", width)),
        "text_bias": Axes(("batch", 1, 1, "length")),
        "text_buckets": Axes(("length", "length"), torch.int64),
        "context": Axes(("batch", "length", width)),
    }
    given = ("input_ids", "attention_mask")

    def finish(held: Any) -> nn.Module:
        return _Finish(held, zero_padding)

    def layer(block: Any) -> Any:
        own = block.layer[0].SelfAttention
        table = own if own.has_relative_attention_bias else blocks[0].layer[0].SelfAttention
        return lambda held: _Layer(held, table.relative_attention_bias)

    stages = [Stage("embed", "embed", deferred(_Embed, network, source.real), given, ("hidden", *SHARED))]
    for index, block in enumerate(blocks):
        build = deferred(layer(block), block, source.real)
        stages.append(Stage("layer", f"layer_{index:02}", build, ("hidden", *SHARED), ("hidden",)))
    last = deferred(finish, network, source.real)
    stages.append(Stage("finish", "finish", last, ("hidden", "attention_mask"), ("context",)))

    def reference(**values: Tensor) -> Tensor:
        mask = values["attention_mask"]
        out: Tensor = source.network(network)(values["input_ids"], mask).last_hidden_state
        return out * mask[..., None].to(out.dtype) if zero_padding else out

    return Component(
        "text_encoder", "text_encoder", given, ("context",), tuple(stages), axes, reference, config.vocab_size
    )
