"""What a person asks for: this workflow, on that device, in this precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..pocketvideo.export import Lookups, Plan, compile_workflow
from ..pocketvideo.export.precision import Precision, parse_precision
from .errors import DeskError

# What the list of a node offers, and what each stands for (docs/precision.md). `lossless` stores in 16 bits
# what still reaches 60 dB, the gate of float32 itself, and the rest in 32.
PRECISIONS = {
    "lossless": "fp16:60",
    "fp32": "fp32",
    "fp16": "fp16",
    "int8": "int8",
    "int4": "int4",
    "auto": "auto",
}
LOSSLESS = "lossless"
PROMPTS = ("editable", "fixed")
MAX_NAME = 100


class DeskLookups(Lookups, Protocol):
    """What the desk knows of the models and images that a workflow names."""

    def prepared(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """The prompt with every model named by its file on this desk. Raises WorkflowError."""

    def model_file(self, name: str) -> Path:
        """The file of a PocketVideo model. Raises WorkflowError."""


@dataclass(frozen=True)
class SendRequest:
    """A workflow in API format (`prompt`), perhaps as the editor saves it, and how it is to be sent.

    `target` is the node to end in, None for the one that there is; `name` what lists call it.
    Raises DeskError for an unknown precision or treatment of prompts.
    """

    prompt: dict[str, Any]
    workflow: dict[str, Any] | None = None
    target: str | None = None
    device_id: str = ""
    prompts: str = "editable"
    precision: str = LOSSLESS
    name: str = ""

    def __post_init__(self) -> None:
        if self.prompts not in PROMPTS:
            raise DeskError(f"Prompts cannot be {self.prompts!r:.40}: choose {' or '.join(PROMPTS)}.")
        if len(self.name) > MAX_NAME or not self.name.isprintable():
            raise DeskError(f"A name has at most {MAX_NAME} printable characters: choose another.")
        self.wanted_precision()

    def wanted_precision(self) -> Precision:
        """What the exporter takes. Raises DeskError."""
        try:
            return parse_precision(PRECISIONS.get(self.precision, self.precision[:200]))
        except Exception as error:
            raise DeskError(str(error)) from error


@dataclass(frozen=True)
class Compiled:
    """A plan and its model file; None where the plan names its files itself."""

    plan: Plan
    model: Path | None


def compiled(request: SendRequest, lookups: DeskLookups) -> Compiled:
    """Compile the workflow. Raises WorkflowError, UnsupportedNode, in one sentence."""
    plan = compile_workflow(lookups.prepared(request.prompt), request.target, lookups)
    return Compiled(plan, None if plan.parts else lookups.model_file(plan.model_name))
