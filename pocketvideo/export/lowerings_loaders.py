"""The lowerings of ComfyUI's own loaders and of the nodes that published models begin with.

A Model, Clip or Vae names the file that it comes from; which of them a plan uses is found in parts.py. Values
of one family work together, so their name is the family's.
"""

from dataclasses import replace
from pathlib import Path

from .checkpoints import (
    FAMILIES,
    Family,
    Header,
    PartFile,
    denoiser_family,
    family_of,
    read_header,
    vae_family,
)
from .errors import WorkflowError
from .lowering import Reader, lowering
from .lowerings import read_size
from .plan import FileLookups, Lookups, PlanBuilder
from .values import Clip, Conditioning, Latent, Model, Photo, Vae

MAX_STRENGTH = 100.0
MAX_RATE = 1000.0
# What Wan's image-to-video files read: a mask of four channels and the clip's latent.
WAN_GIVEN = 20
VISION = "img_emb.proj.0.bias"
TEXT_MARKERS = (
    "text_encoders.t5xxl.transformer.shared.weight",
    "text_encoders.umt5xxl.transformer.shared.weight",
)


@lowering("UNETLoader")
def lower_unet_loader(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model]:
    """Load Diffusion Model."""
    if node.choice("weight_dtype", ("default", "fp8_e4m3fn", "fp8_e4m3fn_fast", "fp8_e5m2")) != "default":
        node.fail(
            "weight_dtype", "is not default, and a device stores weights its own way; set it to default"
        )
    return (_model(node, "unet_name", _header(node, "unet_name", lookups, "diffusion_models")),)


@lowering("CheckpointLoaderSimple")
def lower_checkpoint_loader(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model, Clip, Vae]:
    """Load Checkpoint; a file without a text encoder gives a CLIP that no prompt can use."""
    header = _header(node, "ckpt_name", lookups, "checkpoints")
    model = _model(node, "ckpt_name", header)
    vae = vae_family(header)
    if vae is None:
        node.fail("ckpt_name", "names a checkpoint without a VAE that is exported; use Load Diffusion Model")
    family, reads = vae[0], vae[0].text
    text = None
    if any(marker in header.shapes for marker in TEXT_MARKERS):
        text = PartFile(
            reads.name, "text_encoder", header.path, tokenizer=_files(lookups).tokenizer(reads.name)
        )
    made = Vae(family.title, family.geometry, PartFile(family.name, "vae", header.path))
    return model, Clip(reads.title, text, missing=text is None), made


@lowering("CLIPLoader")
def lower_clip_loader(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Clip]:
    """Load CLIP, for the types whose text encoders are exported."""
    family = family_of(node.choice("type", [known.clip_type for known in FAMILIES if known.clip_type]))
    assert family is not None
    path = _file(node, "clip_name", lookups, "text_encoders")
    part = PartFile(family.name, "text_encoder", path, tokenizer=_files(lookups).tokenizer(family.name))
    return (Clip(family.title, part),)


@lowering("VAELoader")
def lower_vae_loader(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Vae]:
    """Load VAE."""
    header = _header(node, "vae_name", lookups, "vae")
    found = vae_family(header)
    if found is None:
        node.fail("vae_name", f"names a VAE that has no adapter; those that have one are of {_titles()}")
    family = found[0]
    return (Vae(family.title, family.geometry, PartFile(family.name, "vae", header.path)),)


@lowering("LoraLoaderModelOnly")
def lower_lora(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Model]:
    """Load LoRA (Model): baked into the weights when they are exported."""
    model = node.link("model", Model)
    strength = node.number("strength_model", -MAX_STRENGTH, MAX_STRENGTH)
    if model.file is None:
        node.fail("model", f"is {model.name}, into which no LoRA is baked; use Load Diffusion Model")
    path = _file(node, "lora_name", lookups, "loras")
    if strength == 0:
        return (model,)
    return (replace(model, file=replace(model.file, loras=(*model.file.loras, (path, strength)))),)


@lowering("EmptyLTXVLatentVideo")
def lower_empty_ltxv(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """EmptyLTXVLatentVideo."""
    return (read_size(node),)


@lowering("EmptyHunyuanLatentVideo")
def lower_empty_hunyuan(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """EmptyHunyuanLatentVideo: Wan's latents have its layout."""
    return (read_size(node),)


@lowering("LTXVConditioning")
def lower_ltxv_conditioning(
    node: Reader, build: PlanBuilder, lookups: Lookups
) -> tuple[Conditioning, Conditioning]:
    """LTXVConditioning: the frame rate that the network is told."""
    rate = node.number("frame_rate", 1.0, MAX_RATE)
    positive, negative = node.link("positive", Conditioning), node.link("negative", Conditioning)
    return replace(positive, frame_rate=rate), replace(negative, frame_rate=rate)


@lowering("LTXVImgToVideo")
def lower_ltxv_image_to_video(
    node: Reader, build: PlanBuilder, lookups: Lookups
) -> tuple[Conditioning, Conditioning, Latent]:
    """LTXVImgToVideo: the photo becomes the clean first frame."""
    if node.number("strength", 0.0, 1.0, 1.0) != 1.0:
        node.fail("strength", "is not 1, and a device keeps a photo as it is; set it to 1")
    photo = node.link("image", Photo)
    if photo.source is None:
        node.fail("image", "is a generated image; link a Load Image node to it")
    latent = replace(read_size(node), first_frame=photo, vae=node.link("vae", Vae))
    return node.link("positive", Conditioning), node.link("negative", Conditioning), latent


def _model(node: Reader, name: str, header: Header) -> Model:
    found = denoiser_family(header)
    if found is None:
        node.fail(name, f"names a model that has no adapter; those that have one are {_titles()}")
    family, prefix = found
    if prefix + VISION in header.shapes:
        node.fail(
            name,
            "names a model that reads CLIP Vision's features of a picture (Wan 2.1 image to video), which is "
            "not exported; use Wan 2.2's image to video, whose models read the picture alone",
        )
    given = _given(header, prefix, family)
    if given not in (0, WAN_GIVEN):
        node.fail(
            name,
            f"names a model that reads {given} channels besides the latent, which is not exported; use one "
            "of text to video or image to video",
        )
    part = PartFile(family.name, "denoiser", header.path)
    return Model(family.title, family.geometry, file=part, reads=family.text.title, given=given)


def _given(header: Header, prefix: str, family: Family) -> int:
    """How many channels the network reads besides those of the latent."""
    channels = header.shapes.get(f"{prefix}patch_embedding.weight", ())
    return channels[1] - family.geometry.channels if len(channels) > 1 else 0


def _titles() -> str:
    *first, last = (family.title for family in FAMILIES)
    return f"{', '.join(first)} and {last}"


def _file(node: Reader, name: str, lookups: Lookups, kind: str) -> Path:
    try:
        return _files(lookups).file(kind, node.file_name(name))
    except WorkflowError as error:
        node.fail(name, f"names a file that cannot be used: {str(error).rstrip('.')}")


def _files(lookups: Lookups) -> FileLookups:
    if not isinstance(lookups, FileLookups):
        raise WorkflowError("Here only PocketVideo models are known; compile where ComfyUI's files are.")
    return lookups


def _header(node: Reader, name: str, lookups: Lookups, kind: str) -> Header:
    path = _file(node, name, lookups, kind)
    try:
        return read_header(path)
    except WorkflowError as error:
        node.fail(name, f"names a file that cannot be used: {str(error).rstrip('.')}")
