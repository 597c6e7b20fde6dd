"""The lowerings of the nodes that a video of Wan begins with."""

from dataclasses import replace

from .lowering import Reader, lowering
from .lowerings import read_size
from .plan import Lookups, PlanBuilder
from .prompt import Link
from .values import Conditioning, Latent, Photo, Start, Vae


@lowering("WanImageToVideo")
def lower_wan_image_to_video(
    node: Reader, build: PlanBuilder, lookups: Lookups
) -> tuple[Conditioning, Conditioning, Latent]:
    """WanImageToVideo: the photo, and the grey frames after it, are encoded and read beside the latent."""
    node.unlinked(
        "clip_vision_output",
        "describes a picture to the image-to-video models of Wan 2.1, which are not exported",
    )
    positive, negative = node.link("positive", Conditioning), node.link("negative", Conditioning)
    vae, latent = node.link("vae", Vae), read_size(node)
    photo = _photo(node)
    if photo is None:
        return positive, negative, latent
    start = Start(photo, vae, latent.width, latent.height, latent.frames)
    return replace(positive, start=start), replace(negative, start=start), latent


@lowering("Wan22ImageToVideoLatent")
def lower_wan22_latent(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """Wan22ImageToVideoLatent: the photo becomes the clean first frame."""
    vae, latent = node.link("vae", Vae), read_size(node)
    photo = _photo(node)
    return (latent if photo is None else replace(latent, first_frame=photo, vae=vae),)


def _photo(node: Reader) -> Photo | None:
    """The start image, where one is linked."""
    if not isinstance(node.node.inputs.get("start_image"), Link):
        return None
    photo = node.link("start_image", Photo)
    if photo.source is None:
        node.fail("start_image", "is a generated image; link a Load Image node to it")
    return photo
