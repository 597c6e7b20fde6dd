"""Numbers of a network from a single-file checkpoint as ComfyUI reads it, tensor by tensor."""

from collections.abc import Callable, Sequence

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..checkpoints import Header, PartFile
from ..errors import ExportError
from .lora import LoRA
from .pieces import Pieces

# Scales of 8-bit floats and notes on how they were made: no tensors of a network.
NOTES = (".scale_weight", ".weight_scale", ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
EIGHT_BITS = (torch.float8_e4m3fn, torch.float8_e5m2)


class FileWeights(Pieces):
    """A network's tensors from a file, read when they are needed, with LoRAs baked in.

    Args:
        network: on the meta device.
        header: of the file.
        prefix: what the names of the network's tensors begin with there.
        rename: a parameter's name in the network to its name in the file, without the prefix.
        part: names the LoRAs.
        within: what the names of tensors begin with (after the prefix) of which none may be left over.
        others: names of tensors among them that may.

    Raises `ExportError` for a file that lacks tensors, has others, or has them in other shapes.
    """

    def __init__(
        self,
        network: nn.Module,
        header: Header,
        prefix: str,
        rename: Callable[[str], str],
        part: PartFile,
        within: str = "",
        others: Sequence[str] = (),
    ) -> None:
        super().__init__(network)
        self.path, self.prefix = header.path, prefix
        self.names = {name: rename(name) for name, _ in self._named.values()}
        held = header.below(prefix)
        self._scales = {name for name in held if name.endswith((".scale_weight", ".weight_scale"))}
        for name, tensor in self._named.values():
            shape = held.get(self.names[name])
            if shape != tuple(tensor.shape):
                found = "is missing" if shape is None else f"has the shape {shape}"
                raise ExportError(
                    f"{self.names[name]} {found} in '{self.path.name}' instead of {tuple(tensor.shape)}; "
                    "this form of the model is not exported."
                )
        for name in sorted(set(held) - set(self.names.values())):
            if name.startswith(within) and name not in others and not name.endswith(NOTES):
                raise ExportError(
                    f"'{self.path.name}' holds {name}, which this exporter does not know; "
                    "this form of the model is not exported."
                )
        plain = part.family == "ltxv"
        self.loras = [LoRA(path, strength, list(held), plain=plain) for path, strength in part.loras]

    def numbers(self, name: str, tensor: Tensor) -> Tensor:
        """The tensor in the file, as float32."""
        key = self.names[name]
        try:
            with safe_open(self.path, framework="pt") as file:
                values: Tensor = file.get_tensor(self.prefix + key)
                if values.dtype in EIGHT_BITS:
                    values = values.float() * self._scale(file, key)
        except (SafetensorError, OSError) as error:
            raise ExportError(f"'{self.path.name}' cannot be read ({error}); fetch it again.") from None
        if not values.is_floating_point():
            return values
        values = values.float()
        for lora in self.loras:
            values = lora.apply(key, values)
        return values

    def _scale(self, file: safe_open, key: str) -> Tensor:
        base = key.removesuffix("weight")
        for name in (f"{base}scale_weight", f"{base}weight_scale"):
            if name in self._scales:
                scale: Tensor = file.get_tensor(self.prefix + name).float()
                return scale
        return torch.ones(())
