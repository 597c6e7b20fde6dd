"""Which component of a model is which network."""

from dataclasses import replace

from ..models import PocketModel
from .errors import ExportError
from .precision import NUMBER
from .stages import Component
from .stages_denoiser import denoiser_component
from .stages_merged import TWINS, merged_component
from .stages_text import text_component
from .stages_vae import decoder_component, encoder_component


def component(model: PocketModel, name: str) -> Component:
    """A component of a model: one of the four networks, or a merging twin of the denoiser."""
    if NUMBER.search(name):
        return replace(component(model, NUMBER.sub("", name)), name=name)
    if name == "text_encoder":
        return text_component(model.text_encoder, model.max_tokens)
    if name == "denoiser":
        return denoiser_component(model.denoiser)
    if name in TWINS:
        return merged_component(model.denoiser, denoiser_component(model.denoiser), name)
    if name == "vae_decoder":
        return decoder_component(model.vae)
    if name == "vae_encoder":
        return encoder_component(model.vae)
    raise ExportError(f"There is no component {name} in a model; this is a fault of the plan.")
