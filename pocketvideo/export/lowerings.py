"""The lowerings of loaders, prompts, latents, images and outputs. Sampling is in lowerings_sampling.py."""

from dataclasses import replace
from typing import Any

from .errors import WorkflowError
from .lowering import Reader, lowering
from .modelfile import file_of
from .plan import ExampleFrame, Lookups, PlanBuilder
from .sampling import MAX_PROMPT
from .values import Clip, Conditioning, Latent, Model, Photo, Vae, Video

MAX_SIDE = 2048
MAX_FRAMES = 257
MAX_FPS = 120.0


@lowering("PocketVideoModelLoader")
def lower_loader(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model, Clip, Vae]:
    """Load Pocket Video Model."""
    name = node.file_name("model_name")
    try:
        geometry = lookups.model(name)
    except WorkflowError as error:
        node.fail("model_name", f"names a model that cannot be used: {str(error).rstrip('.')}")
    family = name if geometry.parent is None else name.removesuffix(file_of(name)) + geometry.parent
    return Model(family, geometry, own=name), Clip(family), Vae(family, geometry)


@lowering("CLIPTextEncode")
def lower_text(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Conditioning]:
    """CLIP Text Encode (Prompt)."""
    return (Conditioning(node.link("clip", Clip), node.text("text", MAX_PROMPT)),)


@lowering("PocketVideoEmptyLatent")
def lower_empty_latent(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """Empty Pocket Video Latent."""
    return (read_size(node),)


@lowering("LoadImage")
def lower_load_image(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """Load Image; its mask cannot be used on a device."""
    name = node.file_name("image")
    try:
        return (Photo(source=lookups.image(name)),)
    except WorkflowError as error:
        node.fail("image", f"names an image that cannot be used: {str(error).rstrip('.')}")


@lowering("PocketVideoExampleImage")
def lower_example_image(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """Example First Frame: drawn when the bundle is written."""
    from ..training.data.example import CHOICES  # draws with torch, which compiling does without

    words = {name: node.choice(name, allowed) for name, allowed in CHOICES.items()}
    seed, size = node.integer("seed", 0, 2**32 - 1), node.integer("size", 32, 1024)
    return (Photo(source=ExampleFrame(**words, seed=seed, size=size)),)


@lowering("PocketVideoImageToVideo")
def lower_image_to_video(
    node: Reader, build: PlanBuilder, lookups: Lookups
) -> tuple[Conditioning, Conditioning, Latent]:
    """Pocket Image to Video: the photo becomes the clean first frame, the motion score joins both prompts."""
    positive, negative = node.link("positive", Conditioning), node.link("negative", Conditioning)
    vae, photo = node.link("vae", Vae), node.link("image", Photo)
    if photo.source is None:
        node.fail("image", "is a generated image; link a Load Image node to it")
    motion = node.number("motion", 0.0, 20.0, vae.geometry.motion)
    size = read_size(node)
    latent = Latent(size.width, size.height, size.frames, first_frame=photo, vae=vae)
    return (
        replace(positive, motion=motion),
        replace(negative, motion=motion),
        latent,
    )


@lowering("VAEDecode")
def lower_decode(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """VAE Decode."""
    return (Photo(frames=build.op("frames", "decode", **read_decoding(node)[0])),)


@lowering("CreateVideo")
def lower_create_video(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Video]:
    """Create Video; sound is refused."""
    node.unlinked("audio", "holds sound, which a device cannot add")
    return (Video(linked_frames(node, "images"), node.number("fps", 1.0, MAX_FPS)),)


@lowering("SaveVideo", output=True)
def lower_save_video(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[()]:
    """Save Video: the device always writes H.264 in MP4, so format and codec are passed over."""
    video = node.link("video", Video)
    build.op("video", "write_video", frames=video.frames, fps=video.fps)
    return ()


@lowering("PocketVideoSendToDevice", output=True)
def lower_send(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[()]:
    """Send to Device: where the plan ends."""
    frames = linked_frames(node, "images")
    build.op("video", "write_video", frames=frames, fps=node.number("fps", 1.0, MAX_FPS))
    return ()


@lowering("PocketVideoRunOnDevice", output=True)
def lower_run(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """Run on Device: where the plan ends. Seen from a node after it, it is the frames that went in."""
    frames = linked_frames(node, "images")
    if node.is_end:
        build.op("video", "write_video", frames=frames, fps=node.number("fps", 1.0, MAX_FPS))
    return (Photo(frames=frames),)


def read_decoding(node: Reader) -> tuple[dict[str, Any], Latent, Vae]:
    """The fields of the op that decodes `samples`, the latent and its VAE."""
    latent, vae = node.link("samples", Latent), node.link("vae", Vae)
    if latent.sampled is None or latent.model is None:
        node.fail("samples", "is a latent that no sampler has worked on; link a KSampler to it")
    if vae.name != latent.model.name:
        node.fail(
            "vae", f"comes from {vae.name} but the latent from {latent.model.name}; use one model for both"
        )
    later = {"next": "vae_decoder_next"} if vae.geometry.pieces else {}
    return {"component": "vae_decoder", "latent": latent.sampled, **later}, latent, vae


def read_size(node: Reader) -> Latent:
    """The size widgets that Empty Pocket Video Latent and Pocket Image to Video share; one clip at a time."""
    node.integer("batch_size", 1, 1, 1)
    return Latent(
        node.integer("width", 16, MAX_SIDE),
        node.integer("height", 16, MAX_SIDE),
        node.integer("length", 1, MAX_FRAMES),
    )


def linked_frames(node: Reader, name: str) -> object:
    images = node.link(name, Photo)
    if images.frames is None:
        node.fail(name, "is an input image; link a VAE Decode node to it")
    return images.frames
