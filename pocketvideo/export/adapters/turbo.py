"""A file of Turbo-VAED in the place of LTX-Video's own decoder."""

import torch
from safetensors import SafetensorError, safe_open

from ..checkpoints import FAMILIES, Header, PartFile, read_header
from ..errors import ExportError
from .files import FileWeights
from .opening import Opened
from .turbo_vaed import MARKER, PREFIXES, TurboDecoder, check_fits, read_sizes, turbo_decoder_component
from .vaes import vae_prefix

LTXV = FAMILIES[0]
# The heads that its training compares with the teacher, which decoding does without.
HEADS = "aligned_feature_projection_heads."


def open_turbo_decoder(header: Header, part: PartFile) -> Opened:
    """The decoder in a file of Turbo-VAED. Raises `ExportError`."""
    prefix = next((prefix for prefix in PREFIXES if _holds(header, prefix)), None)
    if prefix is None or part.latents is None:
        raise ExportError(
            f"'{header.path.name}' holds no decoder of Turbo-VAED (it has no {MARKER}...); choose its "
            "safetensors file."
        )
    try:
        sizes = read_sizes(header.below(prefix))
    except (KeyError, IndexError) as error:
        raise ExportError(
            f"'{header.path.name}' is a form of Turbo-VAED that is not exported (it lacks {error})."
        ) from None
    geometry = LTXV.geometry
    check_fits(sizes, header.path.name, geometry.channels, geometry.spatial, geometry.temporal)
    mean, std = _statistics(read_header(part.latents))
    with torch.device("meta"):
        network = TurboDecoder(sizes, torch.empty(sizes.latent), torch.empty(sizes.latent))
    network.mean, network.std = mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)
    network.eval().requires_grad_(False)
    weights = FileWeights(network, header, prefix, str, part, others=_others(header, prefix))
    return Opened(turbo_decoder_component(network, weights.source(network)), {"sizes": repr(sizes)})


def _holds(header: Header, prefix: str) -> bool:
    return any(name.startswith(prefix + MARKER) for name in header.shapes)


def _others(header: Header, prefix: str) -> list[str]:
    """Names that may be there, too: the heads of the training, and the class's own statistics, 0 and 1."""
    held = header.below(prefix)
    return [name for name in held if name.startswith(HEADS) or name in ("latents_mean", "latents_std")]


def _statistics(vae: Header) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of the latents by channel, from LTX-Video's own autoencoder."""
    prefix = vae_prefix(vae, LTXV.vae_marker)
    try:
        with safe_open(vae.path, framework="pt") as file:
            mean, std = (
                file.get_tensor(f"{prefix}per_channel_statistics.{name}-of-means").float()
                for name in ("mean", "std")
            )
    except (SafetensorError, OSError) as error:
        raise ExportError(f"'{vae.path.name}' does not tell the latents' statistics ({error}).") from None
    return mean, std
