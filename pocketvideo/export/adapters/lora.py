"""LoRAs, baked into the weights that they change: what ComfyUI adds to a model's weights, tensor by tensor.

A LoRA names a weight of the network's file in one of the forms that ComfyUI accepts for these networks and
gives a product of two small matrices, a difference, or the weight itself.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import ExportError

log = logging.getLogger(__name__)

# Endings of the matrix that goes out and of the one that goes in.
PAIRS = (
    (".lora_up.weight", ".lora_down.weight"),
    ("_lora.up.weight", "_lora.down.weight"),
    (".lora_B.weight", ".lora_A.weight"),
    (".lora.up.weight", ".lora.down.weight"),
    (".lora_B", ".lora_A"),
    (".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight"),
    (".lora_B.default.weight", ".lora_A.default.weight"),
)


@dataclass(frozen=True)
class Change:
    """What a LoRA does to one tensor: keys in its file. `kind` is `product`, `add` or `set`."""

    kind: str
    keys: tuple[str, ...]
    alpha: str | None = None


class LoRA:
    """One LoRA file at one strength, for a network whose file holds `names` (without their prefix).

    Raises `ExportError` for a file that changes none of them, or in a form that is not exported (DoRA, LoHa,
    LoKr, convolutions with a middle matrix).
    """

    def __init__(self, path: Path, strength: float, names: list[str], *, plain: bool = False) -> None:
        """`plain` also takes names without a prefix, which ComfyUI takes for LTX-Video alone."""
        self.path, self.strength = path, strength
        try:
            with safe_open(path, framework="pt") as file:
                self._keys = set(file.keys())
        except (SafetensorError, OSError) as error:
            raise ExportError(
                f"The LoRA '{path.name}' cannot be read as safetensors ({error}); choose another."
            ) from None
        self._used: set[str] = set()
        self.changes: dict[str, list[Change]] = {}
        known: list[str] = []
        for name in names:
            for form in _forms(name, plain):
                known.append(form)
                self._find(form, name)
        for key in sorted(self._keys - self._used):
            if any(key.startswith((f"{form}.", f"{form}_lora.")) for form in known):
                raise ExportError(
                    f"The LoRA '{path.name}' changes {key}, which is a form that is not exported; "
                    "use a plain LoRA, or merge it into the model first."
                )
        if not self.changes:
            raise ExportError(
                f"The LoRA '{path.name}' changes nothing in this model; it was made for another."
            )
        if self._keys - self._used:
            count = len(self._keys - self._used)
            log.warning("%d tensors of the LoRA %s change no part of this model.", count, path.name)

    def apply(self, name: str, weight: Tensor) -> Tensor:
        """The weight of this name in the network's file, float32, after the LoRA."""
        for change in self.changes.get(name, ()):
            with safe_open(self.path, framework="pt") as file:
                values = [file.get_tensor(key).float() for key in change.keys]
                scale = self.strength
                if change.alpha is not None:
                    scale *= float(file.get_tensor(change.alpha)) / values[1].shape[0]
            if change.kind == "set":
                weight = values[0].reshape(weight.shape)
                continue
            added = values[0]
            if change.kind == "product":
                added = torch.mm(values[0].flatten(1), values[1].flatten(1))
            if added.numel() != weight.numel():
                raise ExportError(
                    f"The LoRA '{self.path.name}' changes {name} to another size; choose another LoRA."
                )
            weight = weight + scale * added.reshape(weight.shape)
        return weight

    def _find(self, form: str, name: str) -> None:
        for up, down in PAIRS:
            if {form + up, form + down} <= self._keys:
                alpha = f"{form}.alpha" if f"{form}.alpha" in self._keys else None
                self._note(name, Change("product", (form + up, form + down), alpha))
                break
        for ending, kind in ((".diff", "add"), (".w_norm", "add"), (".set_weight", "set")):
            if form + ending in self._keys:
                self._note(name, Change(kind, (form + ending,)))
        bias = f"{name.removesuffix('.weight')}.bias"
        for ending in (".diff_b", ".b_norm"):
            if form + ending in self._keys:
                self._note(bias, Change("add", (form + ending,)))

    def _note(self, name: str, change: Change) -> None:
        self.changes.setdefault(name, []).append(change)
        self._used.update(change.keys, () if change.alpha is None else (change.alpha,))


def _forms(name: str, plain: bool) -> list[str]:
    """What a LoRA may call this tensor."""
    if not name.endswith(".weight"):
        return [f"diffusion_model.{name}"]
    layer = name.removesuffix(".weight")
    flat = layer.replace(".", "_")
    forms = [f"diffusion_model.{layer}", f"lora_unet_{flat}", f"lora_unet__{flat}"]
    return [*forms, layer] if plain else forms
