"""Golden vectors of prompts to token ids, for the three kinds of tokenizer that a bundle holds.

Vocabularies are made up here. Ids come from the library that the desk uses for the kind: `tokenizers` for our
own models and for T5, SentencePiece itself for UMT5.
"""

from __future__ import annotations

import importlib.util
import json
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PACK = Path(__file__).resolve().parents[2]
# What the exporter makes of a SentencePiece model; it knows nothing but the library `tokenizers`.
EXPORTER = PACK / "pocketvideo" / "export" / "adapters" / "sentencepiece.py"
TEXTS = (
    "",
    " ",
    "a red circle moves left",
    "  A Red   Circle moves LEFT ",
    "two\nlines\tand a tab",
    "50% of it, isn't it? (yes) [no] {x|y}",
    "caf\u00e9 \u00c9T\u00c9 na\u00efve stra\u00dfe \u0130",
    "cafe\u0301 decomposed",
    "\uff32\uff45\uff44 \ufb01sh \u2460 \u00bd \u2014 \u2026",
    "\u65e5\u672c\u8a9e \u8d64\u3044\u5186 \U0001f600 \U0001f469\u200d\U0001f680",
    "\u05d0\u05d1 \u0627\u0628 \u0e2a\u0e35",
    "zero\u200bwidth no\u00a0break \u3000wide",
    "</s> <unk> \u2581under",
    "word " * 60,
)
WORDS = ("a", "red", "circle", "moves", "left", "two", "lines", "and", "tab", "word", "of", "it", "no")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,'%()"
SPACE = "\u2581"
MAX_TOKENS = 24


def vectors(comfyui: Path) -> dict[str, Any]:
    """The file tokenizers.json; T5's normaliser is read from the host's own file."""
    t5 = json.loads((comfyui / "comfy/text_encoders/t5_tokenizer/tokenizer.json").read_text("utf-8"))
    return {
        "about": (
            "A bundle's tokenizer.json, and the ids of texts, cut to max_tokens with the end token kept, not"
            " padded. bpe is our own models', t5 LTX-Video's, umt5 Wan's (what the exporter makes of a"
            " SentencePiece model)."
        ),
        "tolerance": 0,
        "cases": [_bpe(), _t5(t5), _umt5(t5["normalizer"]["normalizers"][0]["precompiled_charsmap"])],
    }


def _case(kind: str, tokenizer: str, pad: int, ids: list[list[int]]) -> dict[str, Any]:
    texts = [{"text": text, "ids": found} for text, found in zip(TEXTS, ids, strict=True)]
    made = json.loads(tokenizer)
    return {"kind": kind, "max_tokens": MAX_TOKENS, "pad_id": pad, "texts": texts, "tokenizer": made}


def _bpe() -> dict[str, Any]:
    """Byte-level pairs as `pocketvideo/models/text.py` reads them: trimmed, lower-cased, one end token."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = ["<pad>", "<end>", *alphabet]
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        made = "\u0120"
        for letter in word:
            merges.append((made, letter))
            made += letter
    merges = list(dict.fromkeys([*merges, ("r", "e"), ("\u00c3", "\u00a9")]))
    names += ["".join(pair) for pair in merges]
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.add_special_tokens(["<pad>", "<end>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    ids = []
    for text in TEXTS:
        found = tokenizer.encode(text.strip().lower()).ids
        ids.append([*found[: MAX_TOKENS - 1], vocabulary["<end>"]])
    # On a device the file itself does what Python does here.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", vocabulary["<end>"])]
    )
    return _case("bpe", tokenizer.to_str(), vocabulary["<pad>"], ids)


def _t5(host: dict[str, Any]) -> dict[str, Any]:
    """T5 as the host's file has it, with another vocabulary."""
    from tokenizers import Tokenizer

    made = {**host, "added_tokens": host["added_tokens"][:3], "truncation": None, "padding": None}
    made["model"] = {"type": "Unigram", "unk_id": 2, "vocab": _pieces(), "byte_fallback": False}
    tokenizer = Tokenizer.from_str(json.dumps(made))
    ids = []
    for text in TEXTS:
        found = tokenizer.encode(text).ids
        ids.append([*found[:-1][: MAX_TOKENS - 1], found[-1]])
    return _case("t5", tokenizer.to_str(), 0, ids)


def _umt5(charsmap: str) -> dict[str, Any]:
    """UMT5: a SentencePiece model of which the library itself makes the ids."""
    import base64

    import sentencepiece  # type: ignore[import-not-found]

    model = _sentencepiece_model(base64.b64decode(charsmap))
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    ids = [[*processor.encode(text)[: MAX_TOKENS - 1], processor.eos_id()] for text in TEXTS]
    return _case("umt5", _exporter().sentencepiece_tokenizer(model), 0, ids)


def _pieces() -> list[tuple[str, float]]:
    """Special tokens, then letters and words: a longer piece is likelier than its letters one by one."""
    words = [(SPACE + word, -6.0 - index / 8) for index, word in enumerate(WORDS)]
    letters = [(letter, -9.0 - index / 16) for index, letter in enumerate(LETTERS)]
    parts = [("es", -8.25), ("le", -8.5), ("ft", -8.75), ("\u00e9", -10.5)]
    return [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (SPACE, -4.0), *words, *letters, *parts]


def _sentencepiece_model(charsmap: bytes) -> bytes:
    """A unigram model as a protocol buffer: pieces, kinds of pieces, byte fallback, normaliser."""
    special = {"<pad>": 3, "</s>": 3, "<unk>": 2}
    pieces = [(name, score, special.get(name, 1)) for name, score in _pieces()]
    pieces += [(f"<0x{byte:02X}>", -20.0, 6) for byte in range(256)]
    made = b""
    for name, score, kind in pieces:
        piece = _bytes(1, name.encode()) + struct.pack("<Bf", 2 << 3 | 5, score) + _integer(3, kind)
        made += _bytes(1, piece)
    ids = b"".join(_integer(number, value) for number, value in ((40, 2), (41, 2**64 - 1), (42, 1), (43, 0)))
    trainer = _integer(3, 1) + _integer(4, len(pieces)) + _integer(35, 1) + ids
    normaliser = _bytes(1, b"nmt_nfkc") + _bytes(2, charsmap) + _integer(3, 1) + _integer(4, 1)
    return made + _bytes(2, trainer) + _bytes(3, normaliser + _integer(5, 1))


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _exporter() -> ModuleType:
    """The exporter's module by its path: the host's Python does not have the pack installed."""
    spec = importlib.util.spec_from_file_location("pocketvideo_sentencepiece", EXPORTER)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
