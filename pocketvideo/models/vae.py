"""The video VAE: diffusers' AutoencoderKLLTXVideo with the latent normalisation inside.

LTX-Video's causal video autoencoder (HaCohen et al., 2024): the first latent frame holds one pixel frame,
every further one `temporal` pixel frames, so `frames = temporal * (latent_frames - 1) + 1`.
Normalising inside means that latents have unit scale everywhere outside this class: in the sampler, in a
ComfyUI graph and in an exported decoder.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKLLTXVideo
from torch import Tensor, nn


class PocketVAE(nn.Module):
    """AutoencoderKLLTXVideo of any size with per-channel latent normalisation.

    Args:
        config: keyword arguments of `diffusers.AutoencoderKLLTXVideo`.
    """

    def __init__(self, config: dict[str, Any]):
        super().__init__()
        self.config = dict(config)
        self.model = AutoencoderKLLTXVideo(**{k: _tupled(v) for k, v in config.items()})
        # diffusers registers latents_mean and latents_std as buffers; they are filled after training.

    @property
    def latent_channels(self) -> int:
        return int(self.model.config.latent_channels)

    @property
    def spatial_compression(self) -> int:
        """Pixels per latent cell along height and width."""
        return int(self.model.spatial_compression_ratio)

    @property
    def temporal_compression(self) -> int:
        """Pixel frames per latent frame, the first frame apart."""
        return int(self.model.temporal_compression_ratio)

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a clip of `frames` pixel frames. Raises ValueError unless frames = k*n + 1."""
        step = self.temporal_compression
        if frames < 1 or (frames - 1) % step:
            raise ValueError(
                f"A clip of {frames} frames does not fit this VAE: choose {step} times a number plus 1, "
                f"for example {max(0, frames - 1) // step * step + 1}."
            )
        return (frames - 1) // step + 1

    def encode(self, video: Tensor) -> Tensor:
        """Pixels `[B, 3, T, H, W]` in [-1, 1] to normalised latents `[B, C, F, h, w]` (no noise)."""
        return self.normalise(self.model.encode(video).latent_dist.mean)

    def decode(self, latent: Tensor) -> Tensor:
        """Normalised latents `[B, C, F, h, w]` to pixels `[B, 3, T, H, W]`, about [-1, 1], not clamped."""
        return self.model.decode(self.denormalise(latent)).sample

    def normalise(self, latent: Tensor) -> Tensor:
        mean, std = self._statistics(latent)
        return (latent - mean) / std

    def denormalise(self, latent: Tensor) -> Tensor:
        mean, std = self._statistics(latent)
        return latent * std + mean

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = self.model.latents_mean, self.model.latents_std
        return mean.view(1, -1, 1, 1, 1).to(like), std.view(1, -1, 1, 1, 1).to(like)


def _tupled(value: Any) -> Any:
    # JSON has no tuples and diffusers' constructor wants them.
    return tuple(value) if isinstance(value, list) else value
