"""Published video transformers as teachers: how diffusers' LTX-Video and Wan are called, and where cut.

The loop and the objectives ask for a velocity and for blocks; a family gives both for a network that
`from_pretrained` loaded. Latents are as the family's pipeline samples them, v = noise - x0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .parent import Conditions, Velocity

# What their networks are told of t in [0, 1].
_TIME_SCALE = 1000.0


@dataclass(frozen=True)
class Family:
    """How the networks of one family are used.

    Args:
        velocity_of: a network, wrapped or not, as a velocity.
        blocks_of: its blocks in order.
        sizes_of: the width of its tokens and of its text features.
        network, pipeline: diffusers' classes.
        encode: prompts by that pipeline's text encoder, padded to a length: features `[N, L, D]`, `[N, L]`.
        comfy_names: parts of a layer's name here, and in ComfyUI, in the order in which they are replaced.
        targets: the layers that LoRA stands beside, by the last part of their names.
    """

    velocity_of: Callable[[nn.Module], Velocity]
    blocks_of: Callable[[Any], list[nn.Module]]
    sizes_of: Callable[[Any], tuple[int, int]]
    network: str
    pipeline: str
    encode: Callable[[Any, list[str], int], tuple[Tensor, Tensor]]
    comfy_names: tuple[tuple[str, str], ...] = ()
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "0")

    def comfy_name(self, name: str) -> str:
        """What ComfyUI calls a layer of the network."""
        for here, there in self.comfy_names:
            name = name.replace(here, there)
        return name


def ltx_velocity(network: nn.Module) -> Velocity:
    """LTX-Video: tokens of one latent cell each, a time for every token."""

    def velocity(x: Tensor, times: Tensor, conditions: Conditions) -> Tensor:
        frames, height, width = x.shape[2:]
        tokens = x.flatten(2).transpose(1, 2)
        found = network(
            hidden_states=tokens,
            encoder_hidden_states=conditions.context,
            timestep=_TIME_SCALE * times.repeat_interleave(height * width, dim=1),
            encoder_attention_mask=conditions.mask,
            num_frames=frames,
            height=height,
            width=width,
            return_dict=False,
        )[0]
        return found.transpose(1, 2).unflatten(2, (frames, height, width))

    return velocity


def wan_velocity(network: nn.Module) -> Velocity:
    """Wan: patches of 2 x 2 latent cells; a time for every token where a first frame is given."""

    def velocity(x: Tensor, times: Tensor, conditions: Conditions) -> Tensor:
        cells = (x.shape[3] // 2) * (x.shape[4] // 2)
        held = bool((conditions.free == 0).any())
        timestep = times.repeat_interleave(cells, dim=1) if held else times[:, 0]
        found = network(
            hidden_states=x,
            timestep=_TIME_SCALE * timestep,
            encoder_hidden_states=conditions.context,
            return_dict=False,
        )[0]
        return found

    return velocity


def encode_ltx(pipeline: Any, prompts: list[str], length: int) -> tuple[Tensor, Tensor]:
    """T5, with a mask that the network is given."""
    context, mask, *_ = pipeline.encode_prompt(
        prompts, do_classifier_free_guidance=False, max_sequence_length=length, device="cpu"
    )
    return context, mask


def encode_wan(pipeline: Any, prompts: list[str], length: int) -> tuple[Tensor, Tensor]:
    """UMT5, whose padding is zeros that the network reads as they are."""
    context = pipeline.encode_prompt(
        prompts, do_classifier_free_guidance=False, max_sequence_length=length, device="cpu"
    )[0]
    return context, context.abs().sum(-1).ne(0).to(torch.int64)


FAMILIES: dict[str, Family] = {
    "ltxv": Family(
        ltx_velocity,
        lambda network: list(network.transformer_blocks),
        lambda network: (
            network.config.num_attention_heads * network.config.attention_head_dim,
            network.config.caption_channels,
        ),
        "LTXVideoTransformer3DModel",
        "LTXPipeline",
        encode_ltx,
    ),
    "wan": Family(
        wan_velocity,
        lambda network: list(network.blocks),
        lambda network: (
            network.config.num_attention_heads * network.config.attention_head_dim,
            network.config.text_dim,
        ),
        "WanTransformer3DModel",
        "WanPipeline",
        encode_wan,
        (
            ("attn1.", "self_attn."),
            ("attn2.", "cross_attn."),
            ("to_out.0.", "o."),
            ("to_q.", "q."),
            ("to_k.", "k."),
            ("to_v.", "v."),
        ),
    ),
}
