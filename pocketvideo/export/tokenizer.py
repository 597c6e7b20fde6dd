"""The tokenizer of a model as one file that does on a device all that `encode_prompts` does on the desk."""

from typing import TYPE_CHECKING

from .errors import ParityError

if TYPE_CHECKING:
    from ..models import PocketModel

SAMPLES = (
    "",
    "  A Red Circle moves LEFT ",
    "two\nlines\tand a tab",
    "\u00c9t\u00e9, 50% \u2014 \u65e5\u672c\u8a9e \U0001f600",
    "word " * 200,
)


def device_tokenizer(model: "PocketModel") -> str:
    """The tokenizer's JSON, with trimming, lower-casing, the end token and the cut to `max_tokens` inside.

    A device encodes, and pads on the right. Raises `ParityError` when the ids differ from the desk's for a
    sample.
    """
    from tokenizers import Tokenizer, normalizers, processors

    from ..models.text import END

    tokenizer = Tokenizer.from_str(model.tokenizer.to_str())
    before = [tokenizer.normalizer] if tokenizer.normalizer else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase(), *before])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    tokenizer.enable_truncation(model.max_tokens)
    text: str = tokenizer.to_str()
    again = Tokenizer.from_str(text)
    for sample in SAMPLES:
        ids, mask = model.tokenize([sample])
        expected = ids[0, : int(mask.sum())].tolist()
        if again.encode(sample).ids != expected:
            raise ParityError(
                f"The exported tokenizer reads {sample[:20]!r} differently from the model's; report it."
            )
    return text


def pad_id(model: "PocketModel") -> int:
    """The id that fills a prompt up to `max_tokens`."""
    from ..models.text import PAD

    found = model.tokenizer.token_to_id(PAD)
    if found is None:
        raise ParityError(f"The model's tokenizer has no token {PAD}; report this model.")
    return int(found)
