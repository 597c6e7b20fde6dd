"""Cuts the networks of a model into stages: small modules that a device runs one after the other.

A stage reads named activations and writes named activations; stages of one graph differ in weights alone. The names
are those of the bundle (docs/bundle.md): a block overwrites `tokens`, a text layer overwrites `hidden`.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..models import MASKED, Block, Denoiser, PocketModel, PocketTextEncoder, PocketVAE
from .errors import ExportError
from .forms import export_form
from .rearrange import fold_frames, fold_height, fold_width, unfold_frames, unfold_height, unfold_width


@dataclass(frozen=True)
class Axes:
    """The axes of an activation: a name for an axis that may have any size, a number for one that may not."""

    names: tuple[str | int, ...]
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Stage:
    """One run of a graph: `build()` gives the module in export form, made when needed to save memory."""

    graph: str
    weights: str
    build: Callable[[], nn.Module]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Component:
    """A network as stages.

    `reference` is the untouched network on the component's inputs, `axes` describes every activation, `vocabulary`
    bounds the token ids of a text encoder.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    stages: tuple[Stage, ...]
    axes: dict[str, Axes]
    reference: Callable[..., Tensor]
    vocabulary: int = 1


def component(model: PocketModel, name: str) -> Component:
    """The component `text_encoder`, `denoiser`, `vae_encoder` or `vae_decoder` of a model."""
    if name == "text_encoder":
        return _text_encoder(model.text_encoder, model.max_tokens)
    if name == "denoiser":
        return _denoiser(model.denoiser)
    if name == "vae_decoder":
        return _vae_decoder(model.vae)
    if name == "vae_encoder":
        return _vae_encoder(model.vae)
    raise ExportError(f"There is no component {name} in a model; this is a fault of the plan.")


# --- denoiser -------------------------------------------------------------------------------------------------------


class _Prologue(nn.Module):
    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, latent: Tensor, timestep: Tensor, motion: Tensor, *text: Tensor) -> tuple[Tensor, ...]:
        context, mask = text or (None, None)
        out = self.denoiser.prologue(latent, timestep, context, mask, motion)
        return tuple(value for value in out if value is not None)


class _Epilogue(nn.Module):
    """The final layer, whose modulation is added row by row to stay within five axes."""

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.final_layer = denoiser.final_layer

    def forward(self, tokens: Tensor, time_embed: Tensor) -> Tensor:
        table = self.final_layer.scale_shift_table
        normal = nn.functional.layer_norm(tokens, tokens.shape[-1:], eps=1e-6)
        modulated = normal * (1 + table[1] + time_embed) + (table[0] + time_embed)
        out: Tensor = self.final_layer.linear(modulated)
        return out.permute(0, 4, 1, 2, 3)


class _Block(nn.Module):
    def __init__(self, block: Block) -> None:
        super().__init__()
        self.block = block

    def forward(self, *activations: Tensor) -> Tensor:
        return self.block(*activations)


def _denoiser(denoiser: Denoiser) -> Component:
    config = denoiser.config
    width = config.width
    text = config.cross_attention
    grid: tuple[str | int, ...] = ("frames", "height", "width")
    axes = {
        "latent": Axes(("batch", config.in_channels, *grid)),
        "timestep": Axes(("batch", "frames")),
        "motion": Axes(("batch",)),
        "tokens": Axes(("batch", *grid, width)),
        "modulation": Axes(("batch", "frames", 1, 1, 6 * width)),
        "time_embed": Axes(("batch", "frames", 1, 1, width)),
        "cos": Axes((*grid, config.head_dim)),
        "sin": Axes((*grid, config.head_dim)),
        "velocity": Axes(("batch", config.in_channels, *grid)),
    }
    inputs: tuple[str, ...] = ("latent", "timestep", "motion")
    shared: tuple[str, ...] = ("modulation", "cos", "sin")
    made: tuple[str, ...] = ("tokens", "modulation", "time_embed", "cos", "sin")
    if text:
        axes["context"] = Axes(("batch", "length", int(config.text_width or 0)))
        axes["context_mask"] = Axes(("batch", "length"))
        axes["block_context"] = Axes(("batch", "length", width))
        axes["context_bias"] = Axes(("batch", 1, 1, "length"))
        inputs += ("context", "context_mask")
        shared += ("block_context", "context_bias")
        made += ("block_context", "context_bias")
    stages = [
        Stage("prologue", "prologue", lambda: export_form(_Prologue(_without(denoiser, "blocks", "final_layer"))),
              inputs, made)
    ]  # fmt: skip
    for index, block in enumerate(denoiser.blocks):
        kind = config.block_kind(index)
        stages.append(
            Stage(kind, f"block_{index:02}", lambda block=block: export_form(_Block(block)),  # type: ignore[misc]
                  ("tokens", *shared), ("tokens",))
        )  # fmt: skip
    stages.append(
        Stage("epilogue", "epilogue", lambda: export_form(_Epilogue(denoiser)), ("tokens", "time_embed"), ("velocity",))
    )

    def reference(**values: Tensor) -> Tensor:
        return denoiser(
            values["latent"], values["timestep"], values.get("context"), values.get("context_mask"), values["motion"]
        )

    return Component("denoiser", "denoiser", inputs, ("velocity",), tuple(stages), axes, reference)


def _without(module: nn.Module, *names: str) -> Any:
    """A shallow copy of a module that lacks these children, so that copying it deeply stays cheap."""
    light = copy.copy(module)
    light._modules = {name: child for name, child in module._modules.items() if name not in names}
    return light


# --- text encoder ---------------------------------------------------------------------------------------------------


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


def _text_encoder(encoder: PocketTextEncoder, max_tokens: int) -> Component:
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
    stages = [Stage("embed", "embed", lambda: export_form(_Embed(encoder)), given, ("hidden", *shared))]
    for index, layer in enumerate(encoder.model.layers):
        stages.append(
            Stage("layer", f"layer_{index:02}", lambda layer=layer: export_form(_Layer(layer)),  # type: ignore[misc]
                  ("hidden", *shared), ("hidden",))
        )  # fmt: skip
    stages.append(
        Stage("finish", "finish", lambda: export_form(_Finish(encoder)), ("hidden", "attention_mask"), ("context",))
    )

    def reference(**values: Tensor) -> Tensor:
        return encoder(values["input_ids"], values["attention_mask"])

    return Component(
        "text_encoder", "text_encoder", given, ("context",), tuple(stages), axes, reference, config.vocab_size
    )


# --- VAE ------------------------------------------------------------------------------------------------------------


class _Statistics(nn.Module):
    """Mean and deviation of the latents, `[1, C, 1, 1, 1]`."""

    mean: Tensor
    std: Tensor

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.register_buffer("mean", vae.model.latents_mean.float().view(1, -1, 1, 1, 1).clone())
        self.register_buffer("std", vae.model.latents_std.float().view(1, -1, 1, 1, 1).clone())


class _Decoder(nn.Module):
    """Normalised latent to frames: LTXVideoDecoder3d's forward, unpatchified within five axes."""

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.decoder = vae.model.decoder
        self.statistics = _Statistics(vae)

    def forward(self, latent: Tensor) -> Tensor:
        decoder = self.decoder
        x = decoder.mid_block(decoder.conv_in(latent * self.statistics.std + self.statistics.mean))
        for block in decoder.up_blocks:
            x = block(x)
        x = decoder.norm_out(x.movedim(1, -1)).movedim(-1, 1)
        x = decoder.conv_out(decoder.conv_act(x))
        patch, patch_t = decoder.patch_size, decoder.patch_size_t
        return unfold_frames(unfold_width(unfold_height(x, patch), patch), patch_t)


class _Encoder(nn.Module):
    """Frames to the normalised mean of the posterior: LTXVideoEncoder3d's forward within five axes."""

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.encoder = vae.model.encoder
        self.statistics = _Statistics(vae)
        self.channels = vae.latent_channels

    def forward(self, image: Tensor) -> Tensor:
        encoder = self.encoder
        patch, patch_t = encoder.patch_size, encoder.patch_size_t
        x = encoder.conv_in(fold_height(fold_width(fold_frames(image, patch_t), patch), patch))
        for block in encoder.down_blocks:
            x = block(x)
        x = encoder.mid_block(x)
        x = encoder.norm_out(x.movedim(1, -1)).movedim(-1, 1)
        x = encoder.conv_out(encoder.conv_act(x))
        return (x[:, : self.channels] - self.statistics.mean) / self.statistics.std


def _check_vae(vae: PocketVAE) -> None:
    config = vae.model.config
    for field in ("timestep_conditioning", "decoder_inject_noise", "encoder_inject_noise"):
        value = config.get(field, False)
        if any(value) if isinstance(value, (list, tuple)) else value:
            raise ExportError(f"The VAE uses {field}, which is not exported; use a model whose VAE does not.")


def _vae_decoder(vae: PocketVAE) -> Component:
    _check_vae(vae)
    axes = {
        "latent": Axes((1, vae.latent_channels, "frames", "height", "width")),
        "frames": Axes((1, 3, "out_frames", "out_height", "out_width")),
    }
    stage = Stage("decoder", "decoder", lambda: export_form(_Decoder(vae)), ("latent",), ("frames",))
    return Component(
        "vae_decoder", "vae_decoder", ("latent",), ("frames",), (stage,), axes, lambda **v: vae.decode(v["latent"])
    )


def _vae_encoder(vae: PocketVAE) -> Component:
    _check_vae(vae)
    pixels = vae.spatial_compression
    axes = {
        "image": Axes((1, 3, 1, f"{pixels}*height", f"{pixels}*width")),
        "latent": Axes((1, vae.latent_channels, 1, "height", "width")),
    }
    stage = Stage("encoder", "encoder", lambda: export_form(_Encoder(vae)), ("image",), ("latent",))
    return Component(
        "vae_encoder", "vae_encoder", ("image",), ("latent",), (stage,), axes, lambda **v: vae.encode(v["image"])
    )
