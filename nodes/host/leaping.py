"""A ComfyUI SAMPLER that leaps: `pocketvideo.acceleration.leaping` meets the host's sampler objects."""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from typing import Any

import comfy.model_sampling
import comfy.samplers
import torch
from comfy_execution.utils import get_executing_context

from ...pocketvideo.acceleration.leaping import LeapConfig, LeapRecord, leap_sample
from .progress import show_text

logger = logging.getLogger(__name__)

# Runs that one Leap remembers, for Leap Report: the latest of this many sampler nodes.
MAX_RUNS = 16

_OWN_STEPS = "it chooses its own steps, so there is no schedule to leap out of"
_REFUSED = {
    "dpm_fast_function": _OWN_STEPS,
    "dpm_adaptive_function": _OWN_STEPS,
    "sample_ar_video": "it runs the schedule once for every block of frames",
    "sample_lcm_upscale": "it enlarges the latent on its way, so that its steps cannot be compared",
}
# Straight are the paths that flow matching trains; of the others, a subclass stands before its base.
_STRAIGHT = ("CONST", "COSMOS_RFLOW")
_PREDICTIONS = {
    "V_PREDICTION_DDPM": "v-prediction",
    "EDM": "EDM",
    "V_PREDICTION": "v-prediction",
    "X0": "x0-prediction",
    "EPS": "noise prediction",
}


class LeapFunction:
    """The sampler function of a leaping SAMPLER. Holds no state of a run but its finished record.

    `runs` maps the id of a sampler node to the record of its latest run, at most `MAX_RUNS` of them, the
    oldest going first.
    """

    def __init__(self, inner: Any, config: LeapConfig, node_id: str | None) -> None:
        """`inner` is a sampler of k-diffusion's signature, `node_id` the Leap node that shows the runs."""
        self.inner = inner
        self.config = config
        self.node_id = node_id
        self.runs: OrderedDict[str, LeapRecord] = OrderedDict()
        # What ComfyUI's log calls the sampler.
        self.__name__ = f"leap_{getattr(inner, '__name__', 'sampler')}"

    def __call__(
        self,
        model: Any,
        x: torch.Tensor,
        sigmas: torch.Tensor,
        extra_args: dict[str, Any] | None = None,
        callback: Any = None,
        disable: bool | None = None,
        **options: Any,
    ) -> torch.Tensor:
        """Sample, and keep the record under the node that is running."""
        record = LeapRecord(self.config, paths=curved_paths(model))
        context = get_executing_context()
        self._remember(context.node_id if context else "", record)
        result = leap_sample(
            model,
            x,
            sigmas,
            extra_args,
            callback,
            disable,
            sampler=self.inner,
            config=self.config,
            record=record,
            **options,
        )
        logger.info("Leap: %s", record.sentence())
        show_text(self.node_id, record.sentence())
        return result

    def _remember(self, node_id: str, record: LeapRecord) -> None:
        self.runs[node_id] = record
        self.runs.move_to_end(node_id)
        while len(self.runs) > MAX_RUNS:
            self.runs.popitem(last=False)


def with_leap(sampler: Any, config: LeapConfig, node_id: str | None) -> Any:
    """A copy of a SAMPLER that leaps; its own options and inpainting stay as they are.

    Raises ValueError for a sampler that cannot leap, saying why.
    """
    if not isinstance(sampler, comfy.samplers.KSAMPLER):
        raise ValueError(
            f"Leap cannot wrap a {type(sampler).__name__}, because it does not show its steps: link a sampler"
            " of ComfyUI, for example KSamplerSelect."
        )
    if isinstance(sampler.sampler_function, LeapFunction):
        raise ValueError("The sampler linked to Leap leaps already: link the sampler before the first Leap.")
    name = getattr(sampler.sampler_function, "__name__", "")
    if name in _REFUSED:
        shown = name.removeprefix("sample_").removesuffix("_function")
        raise ValueError(f"Leap cannot wrap {shown}, because {_REFUSED[name]}: choose euler, for example.")
    # A copy, not a new KSAMPLER: a subclass keeps its own ways, and the original stays as it was.
    leaping = copy.copy(sampler)
    leaping.sampler_function = LeapFunction(sampler.sampler_function, config, node_id)
    return leaping


def curved_paths(model: Any) -> str:
    """Empty for a model of straight paths (rectified flow), else what the model predicts.

    `model` is what a sampler function is given: the inpainting wrapper around a guider around the model.
    """
    sampling = model.inner_model.inner_model.model_sampling
    kinds = comfy.model_sampling
    if any(isinstance(sampling, getattr(kinds, name, ())) for name in _STRAIGHT):
        return ""
    for name, words in _PREDICTIONS.items():
        if isinstance(sampling, getattr(kinds, name, ())):
            return words
    return type(sampling).__name__
