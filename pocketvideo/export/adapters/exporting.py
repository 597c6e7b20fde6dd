"""Components from files that ComfyUI's own loaders loaded, exported and kept like those of our own models."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from ..cache import ExportCache, code_fingerprint, fingerprint
from ..checkpoints import PartFile
from ..errors import ExportError
from ..modelfile import file_digest

Entry = tuple[Path, dict[str, Any]]
Step = Callable[[str], None]

# Components with the weights of another one, where that is in a plan. The first frame takes fewer of them.
LENDERS = {"vae_decoder": "vae_decoder_next", "vae_encoder_start": "vae_encoder_next"}


def in_pieces(name: str, names: Collection[str]) -> bool:
    """True for both halves of a network in pieces, which stay in float32.

    Packed for fewer bits, their graphs would ask for different files of weights.
    """
    return name in LENDERS.values() or LENDERS.get(name) in names


class PartsSource:
    """The files that a plan's components come from: what `bundling.py` asks of a model.

    Files are hashed where a key is asked for, and opened where something is exported.
    """

    def __init__(self, parts: Mapping[str, PartFile]) -> None:
        self.parts, self.code = parts, code_fingerprint()
        named = parts.get("denoiser") or next(iter(parts.values()))
        self.name = named.path.stem
        self.config: dict[str, Any] = {}

    def key(self, *what: str) -> str:
        """What something made by the text encoder is kept under."""
        return fingerprint([self.kept_under("text_encoder"), *what])

    def encode(self, text: str) -> tuple[Any, Any]:
        """Text features [1, L, D] and mask [1, L] of a prompt, as torch tensors."""
        import torch
        from tokenizers import Tokenizer

        opened = self._encoder
        tokenizer = Tokenizer.from_str(opened.files["tokenizer.json"])
        tokenizer.enable_truncation(opened.length)
        found = tokenizer.encode(text).ids
        ids = torch.full((1, opened.length), opened.described["pad_id"], dtype=torch.int64)
        mask = torch.zeros_like(ids)
        ids[0, : len(found)] = torch.tensor(found)
        mask[0, : len(found)] = 1
        with torch.no_grad():
            return opened.component.reference(input_ids=ids, attention_mask=mask), mask.float()

    def components(
        self, names: tuple[str, ...], cache: ExportCache, step: Step, foresee: Callable[[int], None]
    ) -> dict[str, Entry]:
        """Every component from the cache, or exported; `foresee` is told of units of work before they begin.

        Raises `ExportError` and `ParityError` as `components.export_component` does.
        """
        entries: dict[str, Entry] = {}
        # Those that lend weights come first.
        for name in sorted(names, key=lambda name: name in LENDERS):
            key = self.kept_under(name)
            found = cache.component(key)
            if found is None:
                opened = self.opened(name)
                foresee(len(opened.component.stages) + 1)
                lender = LENDERS.get(name, "")
                fill = partial(
                    export_opened,
                    opened=opened,
                    name=name,
                    cache=cache,
                    code=self.code,
                    step=step,
                    twin_of=(entries[lender][0], lender) if lender in entries else None,
                )
                found = cache.store(key, fill)
            entries[name] = found
        return entries

    def kept_under(self, name: str) -> str:
        """The key that a component is kept under; hashes its files."""
        return _key(self._part(name), name, self.code)

    def opened(self, name: str) -> Any:
        """The `Opened` network of a component. Raises `ExportError` where there is no adapter."""
        from .opening import open_part

        return open_part(self._part(name))

    @cached_property
    def _encoder(self) -> Any:
        return self.opened("text_encoder")

    def _part(self, name: str) -> PartFile:
        """The file of a component; pieces of one are in the same file."""
        if name in self.parts:
            return self.parts[name]
        whole = next((part for piece, part in self.parts.items() if name.startswith(f"{piece}_")), None)
        if whole is None:
            raise ExportError(f"The plan has a component {name} and names no file for it; compile it again.")
        return replace(whole, kind=name)


def _key(part: PartFile, name: str, code: str) -> str:
    """What an exported part is kept under: everything that decides its files."""
    loras = [[file_digest(path), strength] for path, strength in part.loras]
    others = [file_digest(path) if path is not None else None for path in (part.tokenizer, part.latents)]
    # By name, because the files of an export lie in a folder of that name.
    return fingerprint([code, part.family, part.kind, name, file_digest(part.path), loras, others])


def export_opened(
    folder: Path,
    *,
    opened: Any,
    name: str,
    cache: ExportCache,
    code: str,
    step: Step,
    twin_of: tuple[Path, str] | None,
) -> dict[str, Any]:
    """Write the files of an opened part into `folder` and return its cache entry."""
    from ..components import graph_key, list_files, write_stages
    from ..graphs import export_stage
    from ..stages import Stage

    # A second network of a kind has a name of its own, and graphs that the first may have, too.
    component = replace(opened.component, name=name)

    def graph(stage: Stage) -> Path:
        key = graph_key(code, component.kind, opened.identity, stage.graph)
        return cache.graph(key, lambda: export_stage(stage, component.axes, f"{name}/{stage.graph}"))

    entry = write_stages(folder, component, opened.length, graph, step, twin_of)
    entry["component"] |= opened.described
    for file, text in opened.files.items():
        (folder / name / file).write_text(text, "utf-8")
    return entry | {"files": list_files(folder)}
