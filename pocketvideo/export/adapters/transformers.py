"""Transformers of published families from their single-file checkpoints: sizes, names, components.

Sizes come from the shapes of tensors and from the file's own config where shapes do not tell, exactly as
ComfyUI finds them (comfy/model_detection.py). A network lies on the meta device and reads its numbers piece
by piece, so that a checkpoint larger than memory is exported, too.
"""

from typing import Any

import torch
from diffusers import LTXVideoTransformer3DModel, WanTransformer3DModel

from ..checkpoints import PREFIXES, Header, PartFile
from ..errors import ExportError
from .files import FileWeights
from .ltxv import TIME_SCALE, ltxv_component
from .opening import Opened
from .wan import wan_component

Shapes = dict[str, tuple[int, ...]]

# What a file's config may say of LTX-Video besides sizes, and what of it is exported.
LTXV_FORMS: dict[str, tuple[Any, ...]] = {
    "rope_type": ("interleaved",),
    "frequencies_precision": ("float32",),
    "cross_attention_adaln": (False,),
    "caption_proj_before_connector": (False,),
    "use_middle_indices_grid": (False,),
    "positional_embedding_theta": (10000.0,),
    "positional_embedding_max_pos": ([20, 2048, 2048],),
    "timestep_scale_multiplier": (TIME_SCALE,),
    "vae_scale_factors": ([8, 32, 32],),
}


# What diffusers' class takes for the published sizes; LTX-Video's 2B is its default.
LTXV_2B: dict[str, Any] = {}
WAN_1_3B = {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30}


def ltxv_network(sizes: dict[str, Any]) -> LTXVideoTransformer3DModel:
    """LTX-Video's transformer on the meta device."""
    with torch.device("meta"):
        network: LTXVideoTransformer3DModel = LTXVideoTransformer3DModel(**sizes)
    return network.eval().requires_grad_(False)


def wan_network(sizes: dict[str, Any]) -> WanTransformer3DModel:
    """Wan's transformer on the meta device, but for tables that the class computes and no file holds."""
    with torch.device("meta"):
        network: WanTransformer3DModel = WanTransformer3DModel(**sizes)
    network.rope = WanTransformer3DModel(**sizes | {"num_layers": 0}).rope
    return network.eval().requires_grad_(False)


def open_ltxv(header: Header, part: PartFile) -> Opened:
    """LTX-Video's transformer in a file. Raises `ExportError`."""
    prefix = _prefix(header, "patchify_proj.weight")
    shapes, config = header.below(prefix), header.part("transformer")
    for name, allowed in LTXV_FORMS.items():
        value = config.get(name, allowed[0])
        if value not in allowed:
            raise ExportError(
                f"'{header.path.name}' is a form of LTX-Video with {name} {value}, which is not exported."
            )
    heads = int(config.get("num_attention_heads", 32))
    inner, context = _shape(header, shapes, "transformer_blocks.0.attn2.to_k.weight", 2)
    channels = _shape(header, shapes, "patchify_proj.weight", 2)[1]
    sizes = {
        "in_channels": channels,
        "out_channels": channels,
        "num_attention_heads": heads,
        "attention_head_dim": inner // heads,
        "cross_attention_dim": context,
        "num_layers": count(shapes, "transformer_blocks"),
        "caption_channels": _shape(header, shapes, "caption_projection.linear_1.weight", 2)[1],
    }
    causal = bool(config.get("causal_temporal_positioning", False))
    network = ltxv_network(sizes)
    weights = FileWeights(network, header, prefix, ltxv_name, part)
    source = weights.source(network, "transformer_blocks")
    return Opened(ltxv_component(network, source, causal), sizes | {"causal_positions": causal})


def ltxv_name(name: str) -> str:
    """A parameter of diffusers' class as LTX-Video's files call it."""
    for ours, theirs in (
        ("proj_in.", "patchify_proj."),
        ("time_embed.", "adaln_single."),
        (".norm_q.", ".q_norm."),
        (".norm_k.", ".k_norm."),
    ):
        name = name.replace(ours, theirs)
    return name


def open_wan(header: Header, part: PartFile) -> Opened:
    """Wan's transformer in a file. Raises `ExportError`."""
    prefix = _prefix(header, "head.modulation")
    shapes, config = header.below(prefix), header.part("transformer")
    width = _shape(header, shapes, "head.modulation", 3)[-1]
    heads = int(config.get("num_heads", width // 128))
    if "img_emb.proj.0.bias" in shapes:
        raise ExportError(
            f"'{header.path.name}' reads features of a picture (image to video of Wan 2.1), which is not "
            "exported; use a text-to-video model or Wan 2.2."
        )
    sizes = {
        "num_attention_heads": heads,
        "attention_head_dim": width // heads,
        "in_channels": _shape(header, shapes, "patch_embedding.weight", 5)[1],
        "out_channels": _shape(header, shapes, "head.head.weight", 2)[0] // 4,
        "text_dim": _shape(header, shapes, "text_embedding.0.weight", 2)[1],
        "freq_dim": _shape(header, shapes, "time_embedding.0.weight", 2)[1],
        "ffn_dim": _shape(header, shapes, "blocks.0.ffn.0.weight", 2)[0],
        "num_layers": count(shapes, "blocks"),
    }
    network = wan_network(sizes)
    weights = FileWeights(network, header, prefix, wan_name, part)
    return Opened(wan_component(network, weights.source(network, "blocks")), sizes)


def wan_name(name: str) -> str:
    """A parameter of diffusers' class as Wan's files call it."""
    for ours, theirs in (
        ("condition_embedder.time_embedder.linear_1.", "time_embedding.0."),
        ("condition_embedder.time_embedder.linear_2.", "time_embedding.2."),
        ("condition_embedder.text_embedder.linear_1.", "text_embedding.0."),
        ("condition_embedder.text_embedder.linear_2.", "text_embedding.2."),
        ("condition_embedder.time_proj.", "time_projection.1."),
        ("attn1.", "self_attn."),
        ("attn2.", "cross_attn."),
        ("to_out.0.", "o."),
        ("to_q.", "q."),
        ("to_k.", "k."),
        ("to_v.", "v."),
        ("ffn.net.0.proj.", "ffn.0."),
        ("ffn.net.2.", "ffn.2."),
        (".norm2.", ".norm3."),
        ("proj_out.", "head.head."),
    ):
        name = name.replace(ours, theirs)
    if name == "scale_shift_table":
        return "head.modulation"
    return name.replace("scale_shift_table", "modulation")


def count(shapes: Shapes, name: str) -> int:
    """How many blocks a list of this name has."""
    numbers = {key.split(".")[1] for key in shapes if key.startswith(f"{name}.")}
    return len(numbers)


def _prefix(header: Header, name: str) -> str:
    """What comes before this name in the file."""
    for prefix in PREFIXES:
        if prefix + name in header.shapes:
            return prefix
    raise ExportError(f"'{header.path.name}' holds no {name}; it is another model.")


def _shape(header: Header, shapes: Shapes, name: str, axes: int) -> tuple[int, ...]:
    shape = shapes.get(name, ())
    if len(shape) != axes:
        raise ExportError(
            f"'{header.path.name}' has no {name} of {axes} axes; this form of the model is not exported."
        )
    return shape
