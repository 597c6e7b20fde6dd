"""Attaches token merging to a MODEL through ComfyUI's wrappers: nothing is copied, replaced or kept.

Around every call of the model, a copy of `transformer_options` gets what merges for this one call: for the
host's networks an attention override (chained in front of another pack's), for ours a `TokenMerge`. Outside
its window of steps the call passes through untouched.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import comfy.model_patcher
import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...pocketvideo.acceleration.merged_attention import MergeCounts, MergeRule, MergingAttention
from ...pocketvideo.acceleration.merging import pair_frames
from ...pocketvideo.acceleration.token_merge import TokenMerger
from .merge_log import MergeLog
from .merge_sequences import SUPPORTED, ModelCall, given_frames, reader_of, sequence_of
from .model import TOKEN_MERGE, HostDenoiser

logger = logging.getLogger(__name__)

KEY = "pocketvideo_temporal_token_merge"
RUN = "pocketvideo_merge_run"
OVERRIDE = "optimized_attention_override"
# Schedules and percentages are rounded differently: a sigma this close to the boundary is the boundary.
ROUNDING = 1e-4


@dataclass(frozen=True)
class MergeSettings:
    """What the node asks for. Percentages are of the model's schedule, as in ComfyUI's own nodes."""

    rule: MergeRule
    start_percent: float
    end_percent: float
    keep_first_frame: bool


@dataclass
class _Run:
    """State of one sampling run."""

    log: MergeLog
    denoise_mask: Tensor | None


def attach(
    model: comfy.model_patcher.ModelPatcher, settings: MergeSettings, show: Callable[[str], None]
) -> comfy.model_patcher.ModelPatcher:
    """A clone of the MODEL that merges; the one that came in stays as it is.

    Args:
        show: gets the sentence about every finished run, for the node.

    Raises:
        ValueError: the model is not a video model that can merge, or merges already.
    """
    network = _network(model.get_model_object("diffusion_model"))
    if not isinstance(network, HostDenoiser) and reader_of(network) is None:
        raise ValueError(
            f"Temporal Token Merge does not know the model {type(model.model).__name__} "
            f"({type(network).__name__}): it merges frames of {SUPPORTED}; remove the node for this model."
        )
    if model.get_wrappers(WrappersMP.APPLY_MODEL, KEY):
        raise ValueError("This model passed Temporal Token Merge before: remove one of the two nodes.")
    clone = model.clone()
    clone.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _around_run(show))
    clone.add_wrapper_with_key(WrappersMP.APPLY_MODEL, KEY, _around_call(settings))
    return clone


def _around_run(show: Callable[[str], None]) -> Callable[..., Any]:
    def wrapper(
        executor: Any,
        noise: Any,
        latent: Any,
        sampler: Any,
        sigmas: Any,
        mask: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        guider = executor.class_obj
        options = guider.model_options
        network = type(_network(guider.model_patcher.get_model_object("diffusion_model"))).__name__
        run = _Run(MergeLog(network, last_step=len(sigmas) - 1), mask)
        guider.model_options = comfy.model_patcher.create_model_options_clone(options)
        guider.model_options["transformer_options"][RUN] = run
        try:
            result = executor(noise, latent, sampler, sigmas, mask, *args, **kwargs)
        finally:
            guider.model_options = options
        sentence = run.log.sentence()
        logger.log(logging.INFO if run.log.merged else logging.WARNING, "Temporal Token Merge: %s", sentence)
        show(sentence)
        return result

    return wrapper


def _around_call(settings: MergeSettings) -> Callable[..., Any]:
    def wrapper(
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Tensor | None = None,
        c_crossattn: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        options = transformer_options or {}
        run: _Run | None = options.get(RUN)
        base = executor.class_obj
        sigma = float(options.get("sigmas", t).max())
        log = run.log if run is not None else MergeLog("")
        log.calls += 1
        counts = None
        if _inside(base.model_sampling, sigma, settings):
            log.active += 1
            mask = _mask_of_window(run, options, x)
            call = ModelCall(_network(base.diffusion_model), x, c_concat, c_crossattn, kwargs, mask)
            options, counts = _with_merge(call, options, settings, log)
        arguments = (x, t, c_concat, c_crossattn, control, options)
        if counts is None:
            return executor(*arguments, **kwargs)
        with _uncompiled():
            result = executor(*arguments, **kwargs)
        log.add(counts, _step(options, sigma))
        return result

    return wrapper


def _uncompiled() -> AbstractContextManager[Any]:
    """Runs a compiled network as it is written.

    ComfyUI's TorchCompileModel removes every guard on `transformer_options`, through which all hooks reach a
    network: code that was compiled without a merge would run where one is asked for, and the other way round.
    Only calls that merge pay for it; all others stay compiled.
    """
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and importing it takes seconds
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


def _with_merge(
    call: ModelCall, options: dict[str, Any], settings: MergeSettings, log: MergeLog
) -> tuple[dict[str, Any], MergeCounts | None]:
    """The options with what merges in this call, and where it counts; unchanged where nothing can merge."""
    frames = call.latent.shape[2] if call.latent.ndim == 5 else 1
    if isinstance(call.network, HostDenoiser):
        given = given_frames(call.denoise_mask) | given_frames(call.inputs.get("denoise_mask"))
        pairs = pair_frames(frames, given, settings.keep_first_frame)
        if not _can_pair(pairs, frames, log):
            return options, None
        attentions = 2 if call.network.config.cross_attention else 1
        merger = TokenMerger(pairs, settings.rule, attentions)
        return {**options, TOKEN_MERGE: merger}, merger.counts
    reader = reader_of(call.network)
    if reader is None or call.latent.ndim != 5:
        log.refuse(f"{type(call.network).__name__} was called with something else than a video")
        return options, None
    sequence = sequence_of(reader, call, settings.keep_first_frame)
    if not _can_pair(sequence.pairs, sequence.grid.frames, log):
        return options, None
    merging = MergingAttention(sequence, settings.rule, options.get(OVERRIDE))
    return {**options, OVERRIDE: merging}, merging.counts


def _can_pair(pairs: tuple[int, ...], frames: int, log: MergeLog) -> bool:
    if not pairs and frames == 1:
        log.refuse("the video has one latent frame, and merging takes two")
    elif not pairs:
        log.refuse(f"no two consecutive frames of {frames} may merge: the others are given or kept")
    return bool(pairs)


def _inside(sampling: Any, sigma: float, settings: MergeSettings) -> bool:
    """From start_percent on, up to but without end_percent."""
    # The host's answer to 0 % is 1.0 for some models, and their samplers may begin above it.
    begun = settings.start_percent <= 0 or sigma <= float(
        sampling.percent_to_sigma(settings.start_percent)
    ) * (1 + ROUNDING)
    ended = settings.end_percent < 1 and sigma <= float(sampling.percent_to_sigma(settings.end_percent)) * (
        1 + ROUNDING
    )
    return begun and not ended


def _mask_of_window(run: _Run | None, options: dict[str, Any], x: Tensor) -> Tensor | None:
    """The sampler's mask for the frames of this call: a context window has some of them."""
    mask = None if run is None else run.denoise_mask
    if mask is None or mask.ndim != 5 or x.ndim != 5:
        return None
    window = options.get("context_window")
    if window is not None and window.dim == 2:
        mask = mask.index_select(2, torch.tensor(window.index_list, device=mask.device))
    return mask if mask.shape[2] == x.shape[2] else None


def _step(options: dict[str, Any], sigma: float) -> int:
    """The step, from 1, that a sigma belongs to; evaluations between two steps belong to the earlier one."""
    sigmas = options.get("sample_sigmas")
    if sigmas is None:
        return 1
    return max(1, min(int((sigmas >= sigma * (1 - ROUNDING)).sum()), len(sigmas) - 1))


def _network(module: Any) -> Any:
    return getattr(module, "_orig_mod", module)  # torch.compile's wrapper
