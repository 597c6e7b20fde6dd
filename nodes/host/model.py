"""The denoiser as ComfyUI's MODEL.

ComfyUI samples any `BaseModel` that says how its network is called. Ours is a rectified flow
(x_t = (1 - t) x0 + t noise, v = noise - x0), which ComfyUI calls CONST with a discrete flow schedule;
the network sees t = sigma, hence multiplier 1.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import comfy.conds
import comfy.latent_formats
import comfy.model_base
import comfy.model_management
import comfy.model_patcher
import comfy.patcher_extension
import comfy.supported_models_base
import torch
from torch import Tensor, nn

from ...pocketvideo.models import Denoiser, DenoiserConfig

MOTION_KEY = "pocketvideo_motion"
# In transformer_options: a TokenMerge for the blocks of this call.
TOKEN_MERGE = "pocketvideo_token_merge"


class HostDenoiser(Denoiser):
    """The denoiser with the call that ComfyUI makes, its wrappers and its block patches.

    `operations` are ComfyUI's layers: they cast and offload weights and stop inside a step when the user
    interrupts.
    """

    def __init__(
        self,
        denoiser: dict[str, Any],
        image_model: str = "pocketvideo",
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        operations: Any = nn,
    ):
        super().__init__(DenoiserConfig.from_dict(denoiser), operations, dtype=dtype, device=device)
        self.dtype = dtype

    def forward(  # type: ignore[override]
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor | None = None,
        control: Any = None,
        transformer_options: dict[str, Any] | None = None,
        context_mask: Tensor | None = None,
        motion: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Velocity `[B, C, F, H, W]`; `timestep` is `[B]` or, with a given first frame, `[B, F]`."""
        options = transformer_options or {}
        wrappers = comfy.patcher_extension.get_all_wrappers(
            comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, options
        )
        executor = comfy.patcher_extension.WrapperExecutor.new_class_executor(self._velocity, self, wrappers)
        velocity: Tensor = executor.execute(x, timestep, context, context_mask, motion, options)
        return velocity

    def _velocity(
        self,
        x: Tensor,
        timestep: Tensor,
        context: Tensor | None,
        context_mask: Tensor | None,
        motion: Tensor | None,
        transformer_options: dict[str, Any],
    ) -> Tensor:
        start = self.prologue(x, timestep, context, context_mask, motion)
        replacements = transformer_options.get("patches_replace", {}).get("dit", {})
        merge = transformer_options.get(TOKEN_MERGE)
        tokens = start.tokens
        for index, block in enumerate(self.blocks):
            replacement = replacements.get(("double_block", index))
            if replacement is None:
                tokens = block(
                    tokens, start.modulation, start.cos, start.sin, start.context, start.context_bias, merge
                )
                continue
            arguments = {
                "img": tokens,
                "txt": start.context,
                "vec": start.modulation,
                "pe": (start.cos, start.sin),
                "attention_mask": start.context_bias,
                "transformer_options": transformer_options,
            }
            tokens = replacement(arguments, {"original_block": _as_patch(block)})["img"]
        return self.epilogue(tokens, start.time_embed)


def _as_patch(block: nn.Module) -> Any:
    """A block in the form that ComfyUI's block patches call: a dict in, a dict out."""

    def run(args: dict[str, Any]) -> dict[str, Any]:
        merge = args["transformer_options"].get(TOKEN_MERGE)
        tokens = block(args["img"], args["vec"], *args["pe"], args["txt"], args["attention_mask"], merge)
        return {"img": tokens}

    return run


class PocketLatentFormat(comfy.latent_formats.LatentFormat):
    """The identity: our VAE normalises inside. Carries the sizes and the colours for the preview."""

    scale_factor = 1.0
    latent_dimensions = 3

    def __init__(
        self, channels: int, spatial: int, temporal: int, rgb: tuple[list[list[float]], list[float]] | None
    ) -> None:
        self.latent_channels = channels
        self.spacial_downscale_ratio = spatial
        self.temporal_downscale_ratio = temporal
        if rgb is not None:
            self.latent_rgb_factors, self.latent_rgb_factors_bias = rgb


class PocketModelConfig(comfy.supported_models_base.BASE):
    """What ComfyUI's `BaseModel` asks a model's configuration for."""

    unet_config: ClassVar[dict[str, Any]] = {"image_model": "pocketvideo"}
    unet_extra_config: ClassVar[dict[str, Any]] = {}
    # float32, so that a desk's video and a device's agree; --fp16-unet and --bf16-unet override it.
    supported_inference_dtypes: ClassVar[list[torch.dtype]] = [torch.float32]

    def __init__(self, denoiser: dict[str, Any], shift: float, latent_format: PocketLatentFormat):
        self.latent_format = lambda: latent_format  # the base class calls it
        super().__init__({"image_model": "pocketvideo", "denoiser": denoiser})
        self.sampling_settings = {"shift": shift, "multiplier": 1.0}


class PocketVideoModel(comfy.model_base.BaseModel):
    """Prompt, motion score and given first frame as the denoiser's inputs."""

    def __init__(self, config: PocketModelConfig, default_motion: float, device: torch.device | None = None):
        super().__init__(config, comfy.model_base.ModelType.FLOW, device=device, unet_model=HostDenoiser)
        self.default_motion = default_motion

    def extra_conds(self, **kwargs: Any) -> dict[str, Any]:
        """The network's inputs for one prompt."""
        conds: dict[str, Any] = super().extra_conds(**kwargs)
        features = kwargs.get("cross_attn")
        if features is not None:
            conds["c_crossattn"] = comfy.conds.CONDRegular(features)
            # The text encoder leaves zeros on padding. Reading the mask off them keeps it right after
            # Conditioning (Concat) and (Average), which change the features and know nothing of masks.
            keep = (features != 0).any(dim=-1).to(features.dtype)
            conds["context_mask"] = comfy.conds.CONDRegular(keep)
        motion = float(kwargs.get(MOTION_KEY, self.default_motion))
        conds["motion"] = comfy.conds.CONDRegular(torch.tensor([motion]))
        mask = kwargs.get("denoise_mask")
        if mask is not None:
            conds["denoise_mask"] = comfy.conds.CONDRegular(mask)
        return conds

    def process_timestep(self, timestep: Tensor, denoise_mask: Tensor | None = None, **kwargs: Any) -> Tensor:
        """Time per frame `[B, F]`: 0 where a frame is given, t where it is made (MobileI2V's conditioning).

        The network knows one time per frame, so a mask that covers a part of a frame counts for all of it.

        A node that changes the shift changes the multiplier, too: ModelSamplingSD3 sets 1000, as most
        video models want it. This network was trained on sigma and makes noise of anything else, so what was
        multiplied is divided again, and ModelSamplingSD3 and ModelSamplingAuraFlow both mean the shift alone.
        """
        timestep = timestep / getattr(self.model_sampling, "multiplier", 1.0)
        if denoise_mask is None:
            return timestep
        return timestep[:, None] * denoise_mask.amax(dim=(1, 3, 4)).to(timestep)

    def scale_latent_inpaint(self, latent_image: Tensor, **kwargs: Any) -> Tensor:
        """Given frames enter the network clean, as in training."""
        return latent_image

    def memory_required(self, input_shape: list[int], cond_shapes: dict[str, Any] | None = None) -> float:
        """Bytes of the widest moment of a forward pass: gated convolution, queries, keys and values."""
        config = self.diffusion_model.config
        tokens = input_shape[0] * math.prod(input_shape[2:])
        numbers = tokens * (8 * config.mlp_hidden + 16 * config.width)
        return float(numbers * comfy.model_management.dtype_size(self.get_dtype_inference()))


def make_model(
    denoiser: dict[str, Any],
    state: dict[str, Tensor],
    shift: float,
    motion: float,
    latent_format: PocketLatentFormat,
) -> comfy.model_patcher.ModelPatcher:
    """A MODEL from the denoiser's config and weights. Raises RuntimeError where they do not fit."""
    parameters = sum(value.numel() for value in state.values())
    load_device = comfy.model_management.get_torch_device()
    offload_device = comfy.model_management.unet_offload_device()
    config = PocketModelConfig(denoiser, shift, latent_format)
    dtype = comfy.model_management.unet_dtype(
        model_params=parameters, supported_dtypes=config.supported_inference_dtypes
    )
    manual_cast = comfy.model_management.unet_manual_cast(
        dtype, load_device, config.supported_inference_dtypes
    )
    config.set_inference_dtype(dtype, manual_cast, device=load_device)
    model = PocketVideoModel(config, motion, device=offload_device)
    model.diffusion_model.load_state_dict(state, strict=True)
    model.diffusion_model.to(offload_device)
    # The static patcher: the dynamic one stages leaf modules only, and our norms hold their own weights.
    return comfy.model_patcher.ModelPatcher(model, load_device=load_device, offload_device=offload_device)
