"""The linear-hybrid video DiT of MobileI2V (arXiv 2511.21475), any size, with optional text.

Seven linear-attention blocks, then one with softmax attention, repeated. Every block is modulated per token
(adaLN-single, PixArt) by the diffusion time, which is 0 on tokens of a given first frame, and by a motion
score. There is no temporal convolution: frames talk through attention alone.

The forward pass is written as prologue, blocks, epilogue, because a phone runs it in these pieces.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .attention import CrossAttention, LinearAttention, SoftmaxAttention
from .config import DenoiserConfig
from .layers import CaptionProjection, GLUMBConv, PatchEmbed, RMSNorm, ScalarEmbedder, layer_norm, modulate
from .merging import TokenMerge
from .rope import rope_3d

# Added to the logits of padding. Finite, because fp16 and onnxruntime both turn -inf rows into NaN.
MASKED = -30000.0


class Prologue(NamedTuple):
    """What travels between the pieces; names as in an exported bundle."""

    tokens: Tensor  # [B, F, H, W, C]
    modulation: Tensor  # [B, F, 1, 1, 6C]
    time_embed: Tensor  # [B, F, 1, 1, C]
    cos: Tensor  # [F, H, W, D]
    sin: Tensor  # [F, H, W, D]
    context: Tensor | None  # [B, L, C]
    context_bias: Tensor | None  # [B, 1, 1, L]


class Block(nn.Module):
    """x += gate1 * Attn(mod(LN(x))); x += CrossAttn(x, text); x += gate2 * GLUMBConv(mod(LN(x))).

    With a `merge`, both attentions run over merged tokens; the feed-forward keeps all of them.
    """

    def __init__(self, config: DenoiserConfig, kind: str, operations: Any = nn, **factory: Any):
        super().__init__()
        width, heads = config.width, config.heads
        self.scale_shift_table = nn.Parameter(torch.randn(6, width, **factory) / width**0.5)
        attention = {"linear": LinearAttention, "softmax": SoftmaxAttention}[kind]
        self.attn = attention(width, heads, operations, **factory)
        if config.cross_attention:
            self.cross_attn = CrossAttention(width, heads, operations, **factory)
        self.mlp = GLUMBConv(width, config.mlp_hidden, operations, **factory)

    def forward(
        self,
        tokens: Tensor,
        modulation: Tensor,
        cos: Tensor,
        sin: Tensor,
        context: Tensor | None = None,
        context_bias: Tensor | None = None,
        merge: TokenMerge | None = None,
    ) -> Tensor:
        table = self.scale_shift_table.to(modulation).flatten()
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + table).chunk(6, dim=-1)
        attended = modulate(layer_norm(tokens), shift1, scale1)
        merged = None if merge is None else merge(attended)
        tokens = tokens + gate1 * self.attn(attended, cos, sin, merged)
        if context is not None and context_bias is not None:
            tokens = tokens + self.cross_attn(tokens, context, context_bias, merged)
        return tokens + gate2 * self.mlp(modulate(layer_norm(tokens), shift2, scale2))


class FinalLayer(nn.Module):
    """LN, modulated by the time alone, then a linear layer back to latent channels."""

    def __init__(self, config: DenoiserConfig, operations: Any = nn, **factory: Any):
        super().__init__()
        self.linear = operations.Linear(config.width, config.in_channels, **factory)
        self.scale_shift_table = nn.Parameter(torch.randn(2, config.width, **factory) / config.width**0.5)

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        shift, scale = (self.scale_shift_table.to(time_embed)[:, None, None, None, None] + time_embed).unbind(
            0
        )
        return self.linear(modulate(layer_norm(tokens), shift, scale)).permute(0, 4, 1, 2, 3)


class Denoiser(nn.Module):
    """Velocity of a rectified flow, v = noise - x0, on latents `[B, C, F, H, W]`.

    Args:
        config: dimensions.
        operations: where Linear and Conv2d come from (torch.nn, or a host's casting versions).
        factory: `device` and `dtype` of the parameters.
    """

    def __init__(self, config: DenoiserConfig, operations: Any = nn, **factory: Any):
        super().__init__()
        self.config = config
        width = config.width
        self.x_embedder = PatchEmbed(config.in_channels, width, operations, **factory)
        self.t_embedder = ScalarEmbedder(width, operations, **factory)
        self.flow_embedder = ScalarEmbedder(width, operations, **factory)
        self.t_block = nn.Sequential(nn.SiLU(), operations.Linear(width, 6 * width, **factory))
        self.flow_block = nn.Sequential(nn.SiLU(), operations.Linear(width, 6 * width, **factory))
        if config.text_width is not None:
            self.y_embedder = CaptionProjection(
                config.text_width, width, config.null_caption_tokens, operations, **factory
            )
            self.attention_y_norm = RMSNorm(width, **factory)
        if config.position_table_frames:
            # Carried by the checkpoint, never read: positions are rotary and computed from the shape.
            self.register_buffer(
                "pos_embed_temporal", torch.zeros(1, config.position_table_frames, width, **factory)
            )
        self.blocks = nn.ModuleList(
            Block(config, config.block_kind(i), operations, **factory) for i in range(config.depth)
        )
        self.final_layer = FinalLayer(config, operations, **factory)
        self.register_load_state_dict_pre_hook(_drop_position_table)

    def forward(
        self,
        latent: Tensor,
        timestep: Tensor,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        motion: Tensor | None = None,
        merge: TokenMerge | None = None,
    ) -> Tensor:
        """Velocity `[B, C, F, H, W]`.

        Args:
            latent: `[B, C, F, H, W]`, x_t = (1 - t) x0 + t noise; a given first frame is clean.
            timestep: t in [0, 1], `[B]`, or `[B, F]` when frames differ (0 on a given first frame).
            context: text features `[B, L, D]`, or None.
            context_mask: `[B, L]`, 1 for words and 0 for padding; None keeps all.
            motion: motion score `[B]`; None means 0.
            merge: merges tokens in every block; None leaves them all.
        """
        start = self.prologue(latent, timestep, context, context_mask, motion)
        tokens = start.tokens
        for block in self.blocks:
            tokens = block(
                tokens, start.modulation, start.cos, start.sin, start.context, start.context_bias, merge
            )
        return self.epilogue(tokens, start.time_embed)

    def prologue(
        self,
        latent: Tensor,
        timestep: Tensor,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        motion: Tensor | None = None,
    ) -> Prologue:
        """Everything that is computed once per evaluation."""
        batch, _, frames, height, width = latent.shape
        dtype = latent.dtype
        time = timestep[:, None] if timestep.ndim == 1 else timestep
        time = time.expand(batch, frames)[:, :, None, None]
        score = latent.new_zeros(batch) if motion is None else motion
        time_embed = self.t_embedder(time * self.config.time_scale, dtype)
        motion_embed = self.flow_embedder(score[:, None, None, None], dtype)
        modulation = self.t_block(time_embed) + self.flow_block(motion_embed)
        cos, sin = rope_3d(
            frames,
            height,
            width,
            self.config.head_dim,
            grid=self.config.rope_grid,
            base=self.config.rope_base,
            device=latent.device,
        )
        features, bias = self._text(latent, context, context_mask)
        return Prologue(self.x_embedder(latent), modulation, time_embed, cos, sin, features, bias)

    def epilogue(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        """Tokens `[B, F, H, W, C]` to a velocity `[B, C, F, H, W]`."""
        return self.final_layer(tokens, time_embed)

    def _text(
        self, latent: Tensor, context: Tensor | None, mask: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None]:
        if not self.config.cross_attention:
            return None, None  # MobileI2V's release feeds text to layers that no block reads
        if context is None:
            raise ValueError(
                "This model was trained with text: give it a context, for example the empty prompt's."
            )
        features = self.attention_y_norm(self.y_embedder(context.to(latent.dtype)))
        keep = context.new_ones(context.shape[:2]) if mask is None else mask
        bias = (1 - keep.to(latent.dtype)) * MASKED
        return features, bias[:, None, None, :]


def initialise(module: Denoiser, generator: torch.Generator | None = None) -> None:
    """DiT's initialisation: Xavier linears, zero output projections, small embedders."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("scale_shift_table"):
                parameter.normal_(0, parameter.shape[-1] ** -0.5, generator=generator)
            elif name.endswith("bias"):
                parameter.zero_()
            elif name.endswith("norm.weight"):
                parameter.fill_(1)
            elif "final_layer" in name or "cross_attn.proj" in name:
                parameter.zero_()
            elif "embedder.mlp" in name or "t_block" in name or "flow_block" in name:
                parameter.normal_(0, 0.02, generator=generator)
            elif parameter.ndim == 2:
                nn.init.xavier_uniform_(parameter, generator=generator)
            else:
                nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)


def _drop_position_table(module: nn.Module, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    # MobileI2V drops its spatial position table when loading, and so do we: RoPE replaced it.
    state.pop(prefix + "pos_embed", None)
