"""Bar 3: how much of a large model's time Merge saves, on random weights of the real width.

Weights change no time, so a few blocks of the real width stand for the whole network: every block does the
same work. Attention is timed at the line where the model calls it, merging and unmerging included.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import comfy.ldm.modules.attention
import comfy.ldm.wan.model
import comfy.model_management
import comfy.model_patcher
import comfy.samplers
import comfy.supported_models
import torch
from torch import Tensor, nn
from tqdm import tqdm

from acceleration import variants
from acceleration.clock import Stopwatch, now, replaced

OFF, PAIRS, INACTIVE = "off", "pairs", "inactive"
# One step in the last half of every schedule: a Merge of the first half is attached and does nothing.
LATE = (0.5, 0.4)


@dataclass(frozen=True)
class Family:
    """How a family is built, and where it calls attention."""

    name: str
    build: Callable[[int], Any]
    attention: tuple[Any, str]
    blocks: str
    channels: int
    patch: int
    text: tuple[int, int]


def _wan(blocks: int) -> Any:
    size = {"dim": 1536, "ffn_dim": 8960, "num_heads": 12, "num_layers": blocks}
    fixed = {"in_dim": 16, "out_dim": 16, "text_dim": 4096, "freq_dim": 256}
    return comfy.supported_models.WAN21_T2V({"image_model": "wan2.1", "model_type": "t2v", **size, **fixed})


def _ltxv(blocks: int) -> Any:
    size = {"num_attention_heads": 32, "attention_head_dim": 64, "cross_attention_dim": 2048}
    return comfy.supported_models.LTXV(
        {"image_model": "ltxv", "in_channels": 128, "caption_channels": 4096, "num_layers": blocks, **size}
    )


FAMILIES = (
    Family(
        "Wan 2.1 1.3B",
        _wan,
        (comfy.ldm.wan.model, "optimized_attention"),
        "blocks",
        channels=16,
        patch=2,
        text=(512, 4096),
    ),
    Family(
        "LTX-Video 2B",
        _ltxv,
        (comfy.ldm.modules.attention, "optimized_attention"),
        "transformer_blocks",
        channels=128,
        patch=1,
        text=(128, 4096),
    ),
)


def measure(
    frames: int, side: int, blocks: int, repetitions: int, short: dict[str, int]
) -> list[dict[str, Any]]:
    """Raw seconds per family; `frames` x `side` x `side` tokens, `short` the same for the overhead.

    What an attached, inactive Merge costs does not grow with the tokens, so it is measured on a short
    sequence, where it weighs most and where many repetitions resolve a percent.
    """
    results = []
    for family in FAMILIES:
        patcher = _random(family, blocks)
        pairs = variants.merge(_way(patcher), PAIRS, {"mode": "pairs"}, variants.WHOLE).model
        inactive = variants.merge(_way(patcher), INACTIVE, {"mode": "pairs"}, variants.FIRST_HALF).model
        long = Rig(family, frames, side).compare({OFF: patcher, PAIRS: pairs}, repetitions)
        quick = Rig(family, short["frames"], short["side"]).compare(
            {OFF: patcher, INACTIVE: inactive}, short["repetitions"]
        )
        results.append(
            {
                "family": family.name,
                "dtype": str(patcher.model.get_dtype_inference()).removeprefix("torch."),
                "blocks": blocks,
                "frames": frames,
                "tokens": frames * side * side,
                "short_tokens": short["frames"] * short["side"] ** 2,
                "merge": long,
                "overhead": quick,
            }
        )
        del patcher, pairs, inactive
        comfy.model_management.unload_all_models()
    return results


class Rig:
    """Single forward passes of one family at one size, timed inside."""

    def __init__(self, family: Family, frames: int, side: int):
        generator = torch.Generator().manual_seed(1)
        self._family = family
        self._tokens = frames * side * side
        self._title = f"{family.name}, {self._tokens} tokens"
        width = side * family.patch
        self._noise = torch.randn((1, family.channels, frames, width, width), generator=generator)
        length, size = family.text
        features = torch.randn((1, length, size), generator=generator)
        self._text = [[features, {"attention_mask": torch.ones((1, length))}]]

    def compare(self, patchers: dict[str, Any], repetitions: int) -> list[dict[str, dict[str, float]]]:
        """Per repetition and patcher, seconds by part: forward, block, self-attention, cross-attention."""
        names = list(patchers)
        for name in names:
            self.forward(patchers[name])
        results = []
        for repetition in tqdm(range(repetitions), self._title):
            order = names if repetition % 2 == 0 else names[::-1]
            results.append({name: self.forward(patchers[name]) for name in order})
        return results

    def forward(self, patcher: Any) -> dict[str, float]:
        """Seconds by part of one evaluation of the network, sampled through ComfyUI's guider."""
        watch = Stopwatch()
        timed = patcher.clone()

        def evaluate(apply_model: Any, call: dict[str, Any]) -> Any:
            started = now()
            result = apply_model(call["input"], call["timestep"], **call["c"])
            watch.add("forward", now() - started)
            return result

        timed.set_model_unet_function_wrapper(evaluate)
        guider = comfy.samplers.CFGGuider(timed)
        guider.set_conds(self._text, self._text)
        guider.set_cfg(1.0)
        with self._probes(patcher, watch):
            out = guider.sample(
                self._noise,
                torch.zeros_like(self._noise),
                comfy.samplers.sampler_object("euler"),
                torch.tensor(LATE),
                disable_pbar=True,
                seed=1,
            )
        if not bool(out.isfinite().all()):
            raise RuntimeError(f"{self._title}: the output is not finite, so its time says nothing.")
        return watch.seconds

    @contextlib.contextmanager
    def _probes(self, patcher: Any, watch: Stopwatch) -> Iterator[None]:
        """Clocks around attention, at the line that calls it, and around the blocks."""
        module, attribute = self._family.attention

        def part(query: Tensor, key: Tensor, *_: Any, **__: Any) -> str:
            return "self-attention" if key.shape[-2] == self._tokens else "cross-attention"

        timed = watch.timed(getattr(module, attribute), part)
        started: list[float] = []
        hooks = []
        blocks: list[nn.Module] = list(getattr(patcher.model.diffusion_model, self._family.blocks))
        for block in blocks:
            hooks.append(block.register_forward_pre_hook(lambda *_: started.append(now())))
            hooks.append(block.register_forward_hook(lambda *_: watch.add("block", now() - started.pop())))
        try:
            with replaced(module, attribute, timed):
                yield
        finally:
            for hook in hooks:
                hook.remove()


def _way(patcher: Any) -> variants.Variant:
    return variants.Variant(OFF, patcher, None)


def _random(family: Family, blocks: int) -> Any:
    """A ModelPatcher with random weights, in the type and on the device that ComfyUI would choose."""
    config = family.build(blocks)
    device = comfy.model_management.get_torch_device()
    kinds = config.supported_inference_dtypes
    dtype = comfy.model_management.unet_dtype(supported_dtypes=kinds)
    config.set_inference_dtype(dtype, comfy.model_management.unet_manual_cast(dtype, device, kinds))
    model = config.get_model({}, "")
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.diffusion_model.named_parameters():
        # ComfyUI's layers leave memory as it was; a norm's scale and a bias need no randomness.
        if parameter.ndim < 2:
            parameter.data.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            fan_in = parameter[0].numel()
            values = torch.randn(parameter.shape, generator=generator) / fan_in**0.5
            parameter.data.copy_(values)
    return comfy.model_patcher.ModelPatcher(
        model, load_device=device, offload_device=comfy.model_management.unet_offload_device()
    )
