"""Text encoders of published families from single files, with the tokenizers that ComfyUI uses for them."""

from typing import Any

import torch
from safetensors import safe_open
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from ..checkpoints import FAMILIES, Header, PartFile
from ..errors import ExportError
from .files import FileWeights
from .opening import Opened
from .sentencepiece import sentencepiece_tokenizer, with_end
from .t5 import t5_component

PREFIXES = ("text_encoders.t5xxl.transformer.", "text_encoders.umt5xxl.transformer.", "")
MARKER = "encoder.block.0.layer.0.SelfAttention.q.weight"
SPIECE = "spiece_model"
PAD_ID = 0
# The output embedding of an encoder is its input embedding, which some files hold under both names.
OTHERS = ("encoder.embed_tokens.weight", SPIECE, "logit_scale")


def open_t5(header: Header, part: PartFile) -> Opened:
    """T5 as LTX-Video reads it: the features of padding stay, and a mask goes with them."""
    return _open(header, part, "ltxv", T5Config, T5EncoderModel)


def open_umt5(header: Header, part: PartFile) -> Opened:
    """UMT5 as Wan reads it: the features of padding are zeros."""
    return _open(header, part, "wan", UMT5Config, UMT5EncoderModel)


def _open(header: Header, part: PartFile, family: str, config_class: Any, network_class: Any) -> Opened:
    prefix = next((prefix for prefix in PREFIXES if prefix + MARKER in header.shapes), None)
    if prefix is None:
        raise ExportError(f"'{header.path.name}' holds no {MARKER}; it is another text encoder.")
    shapes = header.below(prefix)
    first = "encoder.block.0.layer."
    try:
        vocabulary, width = shapes["shared.weight"]
        heads = shapes[f"{first}0.SelfAttention.relative_attention_bias.weight"][1]
        sizes = {
            "vocab_size": vocabulary,
            "d_model": width,
            "d_kv": shapes[MARKER][0] // heads,
            "d_ff": shapes[f"{first}1.DenseReluDense.wi_1.weight"][0],
            "num_layers": len({name.split(".")[2] for name in shapes if name.startswith("encoder.block.")}),
            "num_heads": heads,
        }
    except (KeyError, ValueError, IndexError) as error:
        raise ExportError(
            f"'{header.path.name}' is a form of T5 that is not exported (it lacks {error})."
        ) from None
    with torch.device("meta"):
        config = config_class(**sizes, feed_forward_proj="gated-gelu", dropout_rate=0.0)
        network = network_class(config).eval().requires_grad_(False)
    weights = FileWeights(network, header, prefix, str, part, others=OTHERS)
    wan = family == "wan"
    component = t5_component(network, weights.source(network, "encoder.block"), zero_padding=wan)
    length = next(known.tokens for known in FAMILIES if known.name == family)
    described = {"tokenizer": "text_encoder/tokenizer.json", "max_tokens": length, "pad_id": PAD_ID}
    text = _spiece(header, prefix) if wan else _json(part)
    return Opened(component, sizes | {"zero": wan}, length, described, {"tokenizer.json": text})


def _json(part: PartFile) -> str:
    """The tokenizer.json that ComfyUI ships for T5."""
    if part.tokenizer is None:
        raise ExportError("The text encoder T5 needs ComfyUI's tokenizer.json for it; name ComfyUI's folder.")
    try:
        return with_end(part.tokenizer.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"The tokenizer of T5 cannot be read ({error}); update ComfyUI.") from None


def _spiece(header: Header, prefix: str) -> str:
    """The SentencePiece model that lies in UMT5's own file."""
    for name in (f"{prefix}{SPIECE}", f"{prefix.removesuffix('transformer.')}{SPIECE}", SPIECE):
        if name in header.shapes:
            with safe_open(header.path, framework="pt") as file:
                return sentencepiece_tokenizer(bytes(file.get_tensor(name).numpy().tobytes()))
    raise ExportError(f"'{header.path.name}' holds no tokenizer ({SPIECE}); use ComfyUI's own file of UMT5.")
