"""SentencePiece models (unigram) and T5's tokenizer as the tokenizer.json of the `tokenizers` library.

A SentencePiece model is a protocol buffer, of which this reads the few fields that decide how text is cut. No
package for either is needed.
"""

import json
import struct
from collections.abc import Iterator
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

END = "</s>"
# Types of pieces: 1 is an ordinary one.
UNKNOWN, CONTROL, USER, BYTE = 2, 3, 4, 6
UNIGRAM = 1
SPACE = "\u2581"
# A character that no keyboard makes.
HIDDEN = "\ue000"


def sentencepiece_tokenizer(model: bytes) -> str:
    """tokenizer.json of a SentencePiece unigram model that ends a text with `</s>`.

    Raises ValueError for bytes that are none, and for other kinds of models.
    """
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, Any] = {}
    normalizer: dict[int, Any] = {}
    for number, value in _fields(model):
        if number == 1:
            piece = dict(_fields(value))
            score = struct.unpack("<f", piece.get(2, b"\0\0\0\0"))[0]
            pieces.append((piece[1].decode("utf-8"), score, piece.get(3, 1)))
        elif number == 2:
            trainer = dict(_fields(value))
        elif number == 3:
            normalizer = dict(_fields(value))
    if not pieces or trainer.get(3, UNIGRAM) != UNIGRAM:
        raise ValueError("it is no SentencePiece model of the kind unigram")
    # Text is never cut into these pieces, which the library does not know of: it cannot contain their names.
    names = [HIDDEN + text if kind in (UNKNOWN, CONTROL) else text for text, _, kind in pieces]
    lowest = min(score for _, score, kind in pieces if kind not in (UNKNOWN, CONTROL))
    scores = [(name, max(lowest, score)) for name, (_, score, _) in zip(names, pieces, strict=True)]
    unknown = next((index for index, piece in enumerate(pieces) if piece[2] == UNKNOWN), 0)
    has_bytes = any(kind == BYTE for _, _, kind in pieces)
    made = Tokenizer(models.Unigram(scores, unk_id=unknown, byte_fallback=has_bytes))
    steps: list[Any] = []
    if normalizer.get(2):
        steps.append(normalizers.Precompiled(normalizer[2]))
    if normalizer.get(4, 1):
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    made.normalizer = normalizers.Sequence(steps)
    prepend = "always" if normalizer.get(3, 1) else "never"
    made.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, prepend, split=False)
    made.decoder = decoders.Metaspace(SPACE, prepend)
    own = [text for text, _, kind in pieces if kind == USER]
    if own:
        made.add_tokens(own)
    return with_end(made.to_str(), HIDDEN + END)


def with_end(text: str, name: str = END) -> str:
    """A tokenizer.json whose tokenizer ends every text with this token, and neither cuts nor pads."""
    made = Tokenizer.from_str(text)
    end = made.token_to_id(name)
    if end is None:
        raise ValueError(f"it has no token {END}")
    made.post_processor = processors.TemplateProcessing(single=f"$A {name}", special_tokens=[(name, end)])
    made.no_truncation()
    made.no_padding()
    return json.dumps(json.loads(made.to_str()), ensure_ascii=False, separators=(",", ":"))


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a protocol buffer's fields: integers, or bytes."""
    at = 0
    while at < len(data):
        key, at = _integer(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _integer(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            size, at = _integer(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("it is no SentencePiece model")
        if at + size > len(data):
            raise ValueError("the SentencePiece model is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("the SentencePiece model is cut short")
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
