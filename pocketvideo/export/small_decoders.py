"""A smaller decoder than the workflow's own, for the device alone: Turbo-VAED in the place of LTX-Video's."""

from dataclasses import replace
from pathlib import Path

from .checkpoints import PartFile
from .errors import ExportError
from .plan import Plan

DECODER = "vae_decoder"
TEACHERS = ("ltxv",)


def with_decoder(plan: Plan, path: Path | None) -> Plan:
    """The plan with this file of Turbo-VAED as its decoder; without a file, the plan as it is.

    The desk goes on with its own decoder, of which this one is a likeness. Raises `ExportError` for a plan
    whose VAE has none.
    """
    if path is None:
        return plan
    own = plan.parts.get(DECODER)
    if own is None or own.family not in TEACHERS:
        raise ExportError(
            f"Turbo-VAED takes the place of LTX-Video's decoder alone, and this workflow has another; leave "
            f"out {path.name}."
        )
    part = PartFile("turbo_vaed", DECODER, path, latents=own.path)
    return replace(plan, parts={**plan.parts, DECODER: part})
