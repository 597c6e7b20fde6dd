"""From a model file to what is exported of it: a PocketVideo file, or one that ComfyUI's own loaders load."""

from __future__ import annotations

from pathlib import Path

from ...models import PocketModel, load_model
from ..adapters.opening import OPENERS, open_part
from ..checkpoints import PartFile, denoiser_family, read_header, vae_family
from ..errors import ExportError, WorkflowError
from ..modelfile import read_config
from ..networks import component
from ..tokenizer import device_tokenizer, pad_id
from .options import COMPONENTS
from .writer import Part


def file_parts(path: Path, names: list[str] | None = None) -> list[Part]:
    """The components of a model file, or those with these names.

    Raises `WorkflowError` for a file that no loader knows, and `ExportError` for one that lacks a component.
    """
    try:
        read_config(path)
    except WorkflowError as error:
        return _published_parts(path, names, error)
    return model_parts(load_model(path), names or list(COMPONENTS))


def model_parts(model: PocketModel, names: list[str]) -> list[Part]:
    """Components of a loaded model by name; the text encoder brings its tokenizer."""
    made = []
    for name in names:
        files, notes = {}, {}
        if name == "text_encoder":
            files = {"tokenizer.json": device_tokenizer(model)}
            notes = {
                "tokenizer": f"{name}/tokenizer.json",
                "max_tokens": model.max_tokens,
                "pad_id": pad_id(model),
            }
        made.append(Part(component(model, name), model.max_tokens, files, notes))
    return made


def _published_parts(path: Path, names: list[str] | None, unknown: WorkflowError) -> list[Part]:
    """Transformer and autoencoder of a published file, whichever it holds, without their text encoder."""
    header = read_header(path)
    families = {"denoiser": denoiser_family(header), "vae_encoder": None, "vae_decoder": None}
    vae = vae_family(header)
    if vae is not None and not vae[0].geometry.pieces:
        families |= {"vae_encoder": vae, "vae_decoder": vae}
    held = {name: each[0] for name, each in families.items() if each and (each[0].name, name) in OPENERS}
    if not held:
        raise unknown
    missing = [name for name in names or [] if name not in held]
    if missing:
        raise ExportError(
            f"'{path.name}' gives no {missing[0]} that becomes Core ML; what it gives is {', '.join(held)}."
        )
    made = []
    for name in names or held:
        family = held[name]
        opened = open_part(PartFile(family.name, name, path))
        length = family.tokens if name == "denoiser" else opened.length
        made.append(Part(opened.component, length, opened.files, opened.described))
    return made
