"""What a network reads besides its latent: a mask and an encoded clip that begins with a photo."""

from typing import Any

from .editing import PICTURE, encode_photo
from .lowering import Reader
from .plan import PlanBuilder
from .values import Guider, Latent

# The encoder of the photo at a clip's beginning, and that of what follows it.
START, NEXT = "vae_encoder_start", "vae_encoder_next"


def given_field(node: Reader, build: PlanBuilder, guider: Guider, latent: Latent) -> dict[str, Any]:
    """The field `given` of a denoise op, whose photo is encoded with the grey frames that ComfyUI adds."""
    model, start = guider.model, guider.positive.start
    if guider.negative is not None and guider.negative.start != start:
        node.fail("negative", "begins with another picture than the positive; link both to one node")
    if start is None:
        return {"channels": model.given}
    if start.vae.name != model.name:
        node.fail(
            "positive",
            f"begins with a picture encoded by the VAE of {start.vae.name}, and the model is {model.name}; "
            "use one family for both",
        )
    if (start.width, start.height, start.frames) != (latent.width, latent.height, latent.frames):
        node.fail(
            "latent_image",
            f"is {latent.width} x {latent.height} of {latent.frames} frames and the clip of the start image "
            f"{start.width} x {start.height} of {start.frames}; link the latent of the same node",
        )
    encoding: dict[str, Any] = dict(PICTURE)
    step = start.vae.geometry.temporal
    pieces = (start.frames - 1) // step
    if pieces:
        later = {"component": NEXT, "pieces": pieces, "frames": step}
        encoding = {"component": START, "later": later}
    clip = encode_photo(node, "positive", build, start.photo, start.width, start.height, "start", encoding)
    return {"channels": model.given, "latent": clip}
