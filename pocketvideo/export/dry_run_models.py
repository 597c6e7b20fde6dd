"""What a dry run asks of a model: a file of ours, or the files that ComfyUI's own loaders loaded.

Both are read by their headers alone.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .adapters.exporting import LENDERS, PartsSource
from .cache import code_fingerprint, fingerprint
from .checkpoints import FAMILIES, PartFile
from .errors import ExportError
from .layout import USUAL, Form
from .modelfile import file_digest, read_config, relative
from .plan import TWIN_OF

if TYPE_CHECKING:
    from .meta_sizes import ComponentSize


class Model(Protocol):
    """`name` for people, `tokens` that prompts are padded to, `text_width` of their features."""

    name: str
    tokens: int

    @property
    def text_width(self) -> int: ...

    def key(self, *what: str) -> str:
        """What a component, or an encoded prompt (`features`, text), is kept under in the export cache."""

    def lender(self, name: str) -> str | None:
        """The component whose weights this one shares where the plan has both."""

    def size(self, name: str, sizes: Mapping[str, int], form: Form = USUAL) -> "ComponentSize":
        """What a component weighs in this form, from shapes."""

    def texts(self, name: str) -> dict[str, int]:
        """The component's further files, such as a tokenizer, and their bytes."""


class Own:
    """A PocketVideo model file, with the files beside it that further denoisers come from."""

    def __init__(self, path: Path, relatives: Mapping[str, str] | None = None) -> None:
        beside = {name: path.with_name(file) for name, file in (relatives or {}).items()}
        self._relatives = {name: Own(relative(file)) for name, file in beside.items()}
        self._config = read_config(path)
        self._digest, self._code = file_digest(path), code_fingerprint()
        self.name = path.name
        self.tokens = int(self._config.get("max_tokens", 1))

    @property
    def text_width(self) -> int:
        """Of the text encoder's features."""
        return int(self._config["text_encoder"].get("hidden_size", 0))

    def key(self, *what: str) -> str:
        """As `bundling.py` has it."""
        digest = self._relatives.get(what[0], self)._digest
        return fingerprint([self._code, digest, *what])

    def lender(self, name: str) -> str | None:
        """A twin that merges tokens runs with the denoiser's weights."""
        return TWIN_OF.get(name)

    def size(self, name: str, sizes: Mapping[str, int], form: Form = USUAL) -> "ComponentSize":
        """A twin has the denoiser's sizes, or less where tokens are merged."""
        from .layout_stages import shaped
        from .meta_sizes import component_size
        from .networks import component

        part = component(self._relatives.get(name, self)._network, TWIN_OF.get(name, name))
        return component_size(shaped(part, form) if part.kind == "denoiser" else part, sizes)

    def texts(self, name: str) -> dict[str, int]:
        """The tokenizer of the text encoder."""
        if name != "text_encoder":
            return {}
        from .tokenizer import device_tokenizer

        return {"tokenizer.json": len(device_tokenizer(self._network).encode())}

    @cached_property
    def _network(self) -> Any:
        from .meta_sizes import meta_model

        return meta_model(self._config)


class Published:
    """Files of a published model, by component."""

    def __init__(self, parts: Mapping[str, PartFile]) -> None:
        self._source = PartsSource(parts)
        self._opened: dict[str, Any] = {}
        self.name = self._source.name
        family = next(iter(parts.values())).family
        self.tokens = next((known.tokens for known in FAMILIES if known.name == family), 1)

    @property
    def text_width(self) -> int:
        """Of the text encoder's features."""
        return int(self._component("text_encoder").axes["context"].names[-1])

    def key(self, *what: str) -> str:
        """As `adapters/exporting.py` has it."""
        return self._source.key(*what) if len(what) > 1 else self._source.kept_under(what[0])

    def lender(self, name: str) -> str | None:
        """The piece of a VAE that decodes the first frame runs with the weights of the other."""
        return LENDERS.get(name)

    def size(self, name: str, sizes: Mapping[str, int], form: Form = USUAL) -> "ComponentSize":
        """From the shapes that the file's header lists; published networks have one form."""
        from .adapters.pieces import only_shapes
        from .meta_sizes import component_size

        with only_shapes():
            return component_size(self._component(name), sizes)

    def texts(self, name: str) -> dict[str, int]:
        """The tokenizer of the text encoder."""
        self._component(name)
        return {file: len(text.encode()) for file, text in self._opened[name].files.items()}

    def _component(self, name: str) -> Any:
        if name not in self._opened:
            from .adapters.pieces import only_shapes

            with only_shapes():
                self._opened[name] = self._source.opened(name)
        return self._opened[name].component


def named(path: str | Path | None) -> Path:
    """The model file that has to be named. Raises `ExportError` where it is not."""
    if path is None:
        raise ExportError("The plan needs a model file; name it.")
    return Path(path)
