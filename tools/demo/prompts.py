"""The two prompts that the demo makes of one workflow: one for this computer, one for the device."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from host.workflow import nodes_of

from .errors import DemoError

Prompt = dict[str, Any]
RUN, SEND = "PocketVideoRunOnDevice", "PocketVideoSendToDevice"
# The demo's own nodes get ids that no editor gives.
FRAMES_ID = "demo-frames"
SEND_ID = "demo-send"


@dataclass(frozen=True)
class Source:
    """Where a workflow's frames come from and how it samples: what both prompts share."""

    frames: list[Any]
    fps: float
    video: str
    sampler: str
    text: str
    seed: int
    steps: int
    guidance: float


def inspect(prompt: Prompt) -> Source:
    """Find the nodes that the demo needs. Raises DemoError for a workflow of another shape."""
    create = _one(prompt, "CreateVideo")
    save = _one(prompt, "SaveVideo")
    sampler = _one(prompt, "KSampler")
    inputs = prompt[sampler]["inputs"]
    positive = prompt[_origin(prompt, inputs["positive"], "CLIPTextEncode")]["inputs"]["text"]
    return Source(
        frames=list(prompt[create]["inputs"]["images"]),
        fps=float(prompt[create]["inputs"]["fps"]),
        video=save,
        sampler=sampler,
        text=str(positive),
        seed=int(inputs["seed"]),
        steps=int(inputs["steps"]),
        guidance=float(inputs["cfg"]),
    )


def desktop_prompt(prompt: Prompt, source: Source) -> Prompt:
    """The workflow itself, which also saves its frames without loss, so that they can be compared."""
    made = copy.deepcopy(prompt)
    for kind in (RUN, SEND):
        for node in nodes_of(made, kind):
            del made[node]
    made[FRAMES_ID] = _save_frames(source.frames, "demo/desktop-frame")
    return made


def device_prompt(prompt: Prompt, source: Source) -> Prompt:
    """The same workflow with Run on Device where its video was made; nothing of it is rendered here."""
    made = copy.deepcopy(prompt)
    for kind in ("CreateVideo", "SaveVideo", RUN, SEND):
        for node in nodes_of(made, kind):
            del made[node]
    made[SEND_ID] = {
        "class_type": RUN,
        "inputs": {
            "images": source.frames,
            "device": "the paired device",
            "fps": source.fps,
            "filename_prefix": "demo/device",
        },
        "_meta": {"title": "Run on Device"},
    }
    made[FRAMES_ID] = _save_frames([SEND_ID, 0], "demo/device-frame")
    return made


def with_seed(prompt: Prompt, seed: int | None) -> Prompt:
    """The prompt with another seed in its sampler, or as it is."""
    if seed is None:
        return prompt
    made = copy.deepcopy(prompt)
    made[_one(made, "KSampler")]["inputs"]["seed"] = seed
    return made


def with_model(prompt: Prompt, name: str | None) -> Prompt:
    """The prompt with another model file in its loader, or as it is."""
    if name is None:
        return prompt
    made = copy.deepcopy(prompt)
    made[_one(made, "PocketVideoModelLoader")]["inputs"]["model_name"] = name
    return made


def _save_frames(images: list[Any], prefix: str) -> Prompt:
    return {
        "class_type": "SaveImage",
        "inputs": {"images": images, "filename_prefix": prefix},
        "_meta": {"title": "Frames for the comparison"},
    }


def _one(prompt: Prompt, kind: str) -> str:
    found = nodes_of(prompt, kind)
    if len(found) != 1:
        raise DemoError(
            f"The workflow has {len(found)} {kind} nodes where the demo needs one: choose another workflow."
        )
    return found[0]


def _origin(prompt: Prompt, link: Any, kind: str) -> str:
    """Walk up from a link to the first node of a class, through nodes that pass conditioning on."""
    seen: list[str] = [str(link[0])]
    while seen:
        node_id = seen.pop(0)
        node = prompt[node_id]
        if node["class_type"] == kind:
            return node_id
        seen += [str(value[0]) for value in node["inputs"].values() if isinstance(value, list)]
    raise DemoError(f"The workflow's sampler has no {kind} before it: choose another workflow.")
