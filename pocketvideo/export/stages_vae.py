"""The video VAE as two components of one stage each, with the latent normalisation inside."""

from torch import Tensor, nn

from ..models import PocketVAE
from .errors import ExportError
from .forms import deferred
from .rearrange import fold_frames, fold_height, fold_width, unfold_frames, unfold_height, unfold_width
from .stages import Axes, Component, Stage


class _Statistics(nn.Module):
    """Mean and deviation of the latents, `[1, C, 1, 1, 1]`."""

    mean: Tensor
    std: Tensor

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.register_buffer("mean", vae.model.latents_mean.float().view(1, -1, 1, 1, 1).clone())
        self.register_buffer("std", vae.model.latents_std.float().view(1, -1, 1, 1, 1).clone())


class _Decoder(nn.Module):
    """Normalised latent to frames: LTXVideoDecoder3d's forward, unpatchified within five axes."""

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.decoder = vae.model.decoder
        self.statistics = _Statistics(vae)

    def forward(self, latent: Tensor) -> Tensor:
        decoder = self.decoder
        x = decoder.mid_block(decoder.conv_in(latent * self.statistics.std + self.statistics.mean))
        for block in decoder.up_blocks:
            x = block(x)
        x = decoder.norm_out(x.movedim(1, -1)).movedim(-1, 1)
        x = decoder.conv_out(decoder.conv_act(x))
        patch, patch_t = decoder.patch_size, decoder.patch_size_t
        return unfold_frames(unfold_width(unfold_height(x, patch), patch), patch_t)


class _Encoder(nn.Module):
    """Frames to the normalised mean of the posterior: LTXVideoEncoder3d's forward within five axes."""

    def __init__(self, vae: PocketVAE) -> None:
        super().__init__()
        self.encoder = vae.model.encoder
        self.statistics = _Statistics(vae)
        self.channels = vae.latent_channels

    def forward(self, image: Tensor) -> Tensor:
        encoder = self.encoder
        patch, patch_t = encoder.patch_size, encoder.patch_size_t
        x = encoder.conv_in(fold_height(fold_width(fold_frames(image, patch_t), patch), patch))
        for block in encoder.down_blocks:
            x = block(x)
        x = encoder.mid_block(x)
        x = encoder.norm_out(x.movedim(1, -1)).movedim(-1, 1)
        x = encoder.conv_out(encoder.conv_act(x))
        return (x[:, : self.channels] - self.statistics.mean) / self.statistics.std


def _check_vae(vae: PocketVAE) -> None:
    config = vae.model.config
    for field in ("timestep_conditioning", "decoder_inject_noise", "encoder_inject_noise"):
        value = config.get(field, False)
        if any(value) if isinstance(value, (list, tuple)) else value:
            raise ExportError(f"The VAE uses {field}, which is not exported; use a model whose VAE does not.")


def decoder_component(vae: PocketVAE) -> Component:
    """Normalised latent to frames; the number of frames and the sides follow from the latent."""
    _check_vae(vae)
    axes = {
        "latent": Axes((1, vae.latent_channels, "frames", "height", "width")),
        "frames": Axes((1, 3, "out_frames", "out_height", "out_width")),
    }
    stage = Stage("decoder", "decoder", deferred(_Decoder, vae), ("latent",), ("frames",))
    return Component(
        "vae_decoder",
        "vae_decoder",
        ("latent",),
        ("frames",),
        (stage,),
        axes,
        lambda **v: vae.decode(v["latent"]),
    )


def encoder_component(vae: PocketVAE) -> Component:
    """One image to the normalised latent of one frame."""
    _check_vae(vae)
    pixels = vae.spatial_compression
    axes = {
        "image": Axes((1, 3, 1, f"{pixels}*height", f"{pixels}*width")),
        "latent": Axes((1, vae.latent_channels, 1, "height", "width")),
    }
    stage = Stage("encoder", "encoder", deferred(_Encoder, vae), ("image",), ("latent",))
    return Component(
        "vae_encoder",
        "vae_encoder",
        ("image",),
        ("latent",),
        (stage,),
        axes,
        lambda **v: vae.encode(v["image"]),
    )
