"""Prompts that a device's user cannot edit: they leave the desk encoded, and the text encoder stays at home.

`editable` prompts need the text encoder and its tokenizer on the device, which may be larger than the
denoiser. A `fixed` one is a file of text features of a few kilobytes per token.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .errors import WorkflowError
from .plan import Plan

EDITABLE, FIXED = "editable", "fixed"
PROMPTS = (EDITABLE, FIXED)
FEATURES = "features.safetensors"


def with_prompts(plan: Plan, prompts: str) -> Plan:
    """The plan itself for `editable`; for `fixed` the plan that loads encoded prompts (`Plan.texts`).

    Raises `WorkflowError` for another word.
    """
    if prompts not in PROMPTS:
        raise WorkflowError(f"Prompts cannot be {prompts!r}; choose {' or '.join(PROMPTS)}.")
    if prompts == EDITABLE:
        return plan
    texts: dict[str, str] = {}
    inputs = dict(plan.inputs)
    ops = tuple(_fixed(op, inputs, texts) for op in plan.ops)
    used = {name for op in ops for name in _inputs_of(op)}
    kept = {name: spec for name, spec in inputs.items() if spec["type"] != "text" or name in used}
    return replace(plan, inputs=kept, ops=ops, texts={**plan.texts, **texts})


def write_features(folder: Path, text: str, encode: Callable[[str], tuple[Any, Any]]) -> dict[str, Any]:
    """Write `FEATURES` into `folder` and return its cache entry.

    `encode` gives context [1, L, D] and mask [1, L] of a prompt, as torch tensors.
    """
    from safetensors.numpy import save_file

    from .components import list_files

    context, mask = encode(text)
    arrays = {"context": context, "mask": mask}
    save_file({name: value.float().contiguous().numpy() for name, value in arrays.items()}, folder / FEATURES)
    return {"files": list_files(folder)}


def _fixed(op: dict[str, Any], inputs: Mapping[str, dict[str, Any]], texts: dict[str, str]) -> dict[str, Any]:
    if op["op"] != "encode_text":
        return op
    text = op["text"]
    path = f"inputs/{op['id']}.safetensors"
    texts[path] = inputs[text["input"]]["default"] if isinstance(text, dict) else text
    return {"id": op["id"], "op": "load_text", "features": path}


def _inputs_of(value: Any) -> set[str]:
    """The inputs that an op refers to, at any depth."""
    if isinstance(value, dict):
        if set(value) == {"input"}:
            return {value["input"]}
        return {name for inner in value.values() for name in _inputs_of(inner)}
    return set()
