"""The lowerings of nodes that encode a photo, decode in tiles, zero a prompt, or save an animation."""

from dataclasses import replace

from .editing import encode_photo
from .lowering import Reader, lowering
from .lowerings import MAX_SIDE, linked_frames, read_decoding
from .plan import Lookups, PlanBuilder
from .values import Conditioning, Latent, Photo, Vae

MAX_TILE = 4096
# libwebp's method, as ComfyUI names it.
EFFORTS = {"default": 4, "fastest": 0, "slowest": 6}


@lowering("ConditioningZeroOut")
def lower_zero_out(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Conditioning]:
    """ConditioningZeroOut: features of zeros; the motion score stays."""
    return (replace(node.link("conditioning", Conditioning), zero=True),)


@lowering("ImageScale")
def lower_image_scale(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """Upscale Image, as a device scales the photos that it encodes."""
    photo = node.link("image", Photo)
    if photo.source is None:
        node.fail(
            "image", "is a generated image, which a device does not scale; link a Load Image node to it"
        )
    if photo.width is not None:
        node.fail("image", "is scaled already; scale it once")
    node.choice("upscale_method", ("bilinear",))
    node.choice("crop", ("center",))
    width, height = node.integer("width", 16, MAX_SIDE), node.integer("height", 16, MAX_SIDE)
    return (replace(photo, width=width, height=height),)


@lowering("VAEEncode")
def lower_encode(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """VAE Encode of one photo, whose size has to be known."""
    photo, vae = node.link("pixels", Photo), node.link("vae", Vae)
    if photo.width is None or photo.height is None:
        node.fail(
            "pixels", "has no fixed size; link an Upscale Image node to it, bilinear, cut to the center"
        )
    for side in (photo.width, photo.height):
        if side % vae.geometry.spatial:
            node.fail("pixels", f"has a side of {side}; scale it to multiples of {vae.geometry.spatial}")
    encoded = encode_photo(node, "pixels", build, photo, photo.width, photo.height, "encoded")
    return (Latent(photo.width, photo.height, 1, sampled=encoded, vae=vae),)


@lowering("VAEDecodeTiled")
def lower_decode_tiled(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """VAE Decode (Tiled): tiles of the sizes that ComfyUI reckons, unless the latent fits into one."""
    decoding, latent, vae = read_decoding(node)
    tile, overlap = node.integer("tile_size", 64, MAX_TILE), node.integer("overlap", 0, MAX_TILE, 64)
    length = node.integer("temporal_size", 8, MAX_TILE, 64)
    shared = node.integer("temporal_overlap", 4, MAX_TILE, 8)
    if tile < overlap * 4:
        overlap = tile // 4
    if length < shared * 2:
        shared //= 2
    spatial, temporal = vae.geometry.spatial, vae.geometry.temporal
    frames = max(2, length // temporal)
    side = tile // spatial
    size = [frames, side, side]
    cells = vae.geometry.latent_shape(latent.width, latent.height, latent.frames)[2:]
    if any(count > most for count, most in zip(cells, size, strict=True)):
        decoding["tiles"] = {
            "size": size,
            "overlap": [max(1, min(frames // 2, shared // temporal)), *[overlap // spatial] * 2],
            "scale": [temporal, spatial, spatial],
        }
    return (Photo(frames=build.op("frames", "decode", **decoding)),)


@lowering("SaveAnimatedWEBP", output=True)
def lower_save_webp(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Photo]:
    """Save Animated WEBP: a device writes one instead of an MP4."""
    frames = linked_frames(node, "images")
    if node.is_end:
        webp = {
            "lossless": node.switch("lossless"),
            "quality": node.integer("quality", 0, 100),
            "effort": EFFORTS[node.choice("method", tuple(EFFORTS))],
        }
        build.op("video", "write_video", frames=frames, fps=node.number("fps", 0.01, 1000.0), webp=webp)
    return (Photo(frames=frames),)
