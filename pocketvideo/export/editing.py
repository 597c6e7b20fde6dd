"""The inputs of a plan that a device's user may edit, and the photos among them."""

from collections.abc import Mapping
from typing import Any

from .lowering import Reader
from .plan import PlanBuilder, Value
from .values import Photo

# The component that encodes a picture alone.
PICTURE = {"component": "vae_encoder"}


def editable(build: PlanBuilder, name: str, label: str, **description: Any) -> Value:
    """An input of this name, or of the name with a number where another one, described otherwise, has it."""
    number = 1
    while True:
        numbered = name if number == 1 else f"{name}_{number}"
        described = {"label": label if number == 1 else f"{label} {number}", **description}
        if build.inputs.get(numbered, described) == described:
            return build.input(numbered, **described)
        number += 1


def encode_photo(
    node: Reader,
    name: str,
    build: PlanBuilder,
    photo: Photo,
    width: int,
    height: int,
    op: str,
    encoding: Mapping[str, Any] = PICTURE,
) -> Value:
    """The op that encodes an editable photo as the latent of one frame; `name` is the input to blame.

    `encoding` are the fields of the op that say how, where it is not a picture alone.
    """
    if photo.source is None:
        node.fail(name, "is made from a generated image; link a Load Image node to it")
    if photo.width is not None and (photo.width, photo.height) != (width, height):
        node.fail(
            name,
            f"is scaled to {photo.width} x {photo.height} before it becomes {width} x {height}; scale once",
        )
    number = 1
    while build.photos.get(_photo_path(number), photo.source) != photo.source:
        number += 1
    build.photos[_photo_path(number)] = photo.source
    image = editable(
        build, "photo", "Photo", type="image", width=width, height=height, default=_photo_path(number)
    )
    return build.op(op, "encode_image", image=image, width=width, height=height, **encoding)


def _photo_path(number: int) -> str:
    return "inputs/photo.png" if number == 1 else f"inputs/photo_{number}.png"
