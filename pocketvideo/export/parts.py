"""Which files a plan's components come from, where ComfyUI's own loaders loaded them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .checkpoints import PartFile
from .errors import WorkflowError
from .prompt import Link, Node
from .values import Clip, Vae

# Where a text encoder or a VAE is put to work: node type to the name of its input and the component.
USES: dict[str, tuple[str, str]] = {
    "CLIPTextEncode": ("clip", "text_encoder"),
    "VAEDecode": ("vae", "vae_decoder"),
    "VAEDecodeTiled": ("vae", "vae_decoder"),
    "VAEEncode": ("vae", "vae_encoder"),
    "LTXVImgToVideo": ("vae", "vae_encoder"),
    "PocketVideoImageToVideo": ("vae", "vae_encoder"),
    "WanImageToVideo": ("vae", "vae_encoder"),
    "Wan22ImageToVideoLatent": ("vae", "vae_encoder"),
}
# Without this input they encode nothing.
PICTURES = {"WanImageToVideo": "start_image", "Wan22ImageToVideoLatent": "start_image"}


def plan_parts(
    nodes: list[Node], outputs: Mapping[str, tuple[Any, ...]], denoisers: Mapping[Any, str]
) -> dict[str, PartFile]:
    """The file of every component that some node uses; empty for a workflow of one PocketVideo model.

    `outputs` is what each node was lowered to, `denoisers` the files that samplers sample. Raises
    `WorkflowError` where two files would make one component, or where a prompt is weighted, which a device
    does not do.
    """
    found: dict[str, tuple[Node, PartFile]] = {}
    for node in nodes:
        name, component = USES.get(node.class_type, ("", ""))
        link = node.inputs.get(name)
        if not isinstance(link, Link):
            continue
        if node.class_type in PICTURES and not isinstance(node.inputs.get(PICTURES[node.class_type]), Link):
            continue
        value = outputs[link.node][link.slot]
        if not isinstance(value, (Clip, Vae)):
            continue
        if value.file is None:
            if isinstance(value, Clip) and value.missing:
                raise WorkflowError(
                    f"Input {name} of node {node.label} comes from a checkpoint without a text encoder; link "
                    "a Load CLIP node to it."
                )
            continue
        if component == "text_encoder":
            _check_text(node)
        part = replace(value.file, kind=component)
        other, known = found.setdefault(component, (node, part))
        if known != part:
            raise WorkflowError(
                f"Nodes {other.label} and {node.label} use different files for the {component}, and a device "
                "has one; load it once."
            )
    networks = {name: file for file, name in denoisers.items() if isinstance(file, PartFile)}
    return networks | {component: part for component, (_, part) in found.items()}


def _check_text(node: Node) -> None:
    text = node.inputs.get("text")
    if isinstance(text, str):
        plain = text.replace("\\(", "").replace("\\)", "")
        if "(" in plain or ")" in plain or "embedding:" in plain:
            raise WorkflowError(
                f"The text of node {node.label} has weights in parentheses or an embedding, which a device "
                "does not know; remove them."
            )
