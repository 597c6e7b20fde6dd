"""What is trained: the parent's denoiser whole, or LoRA layers beside its frozen weights (peft)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..muon import optimizers_for
from ..sharding import whole


@dataclass(frozen=True)
class StudentConfig:
    """How the student and the networks of the objectives learn.

    Args:
        kind: `full` or `lora`.
        lr: Muon's for matrices of a whole network, AdamW's for LoRA.
        adam_lr: AdamW's for the rest of a whole network.
        heads_lr: AdamW's for a discriminator's heads.
        fake_lr: `lr` of the fake score; `adam_lr` is scaled alike.
        rank: of LoRA.
        targets: names of the layers that get LoRA, as peft matches them.
    """

    kind: str = "full"
    lr: float = 5e-4
    adam_lr: float = 2e-4
    heads_lr: float = 1e-3
    fake_lr: float = 5e-4
    weight_decay: float = 0.0
    rank: int = 32
    targets: tuple[str, ...] = ("qkv", "proj", "q_linear", "kv_linear", "conv")

    def __post_init__(self) -> None:
        if self.kind not in ("full", "lora"):
            raise ValueError(f"A student is 'full' or 'lora', not '{self.kind}': correct the recipe.")


def make_student(parent: nn.Module, config: StudentConfig, seed: int) -> nn.Module:
    """A trainable copy of the parent, which stays as it is. Starts as the parent's own function."""
    student = copy.deepcopy(parent)
    if config.kind == "full":
        return student.train().requires_grad_(True)
    return with_lora(student, config, seed)


def with_lora(network: nn.Module, config: StudentConfig, seed: int) -> nn.Module:
    """`network` itself, frozen, with LoRA layers that are trained."""
    from peft import LoraConfig, inject_adapter_in_model

    network.requires_grad_(False)
    linears = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and name.rsplit(".", 1)[-1] in config.targets
    ]
    if not linears:
        raise ValueError(
            f"No linear layer of the network is called {' or '.join(config.targets)}: name those that shall "
            "get LoRA in student.targets of the recipe."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        settings = LoraConfig(r=config.rank, lora_alpha=config.rank, target_modules=linears)
        adapted: nn.Module = inject_adapter_in_model(settings, network)
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_("lora_" in name)
    return adapted.train()


def make_optimizers(name: str, network: nn.Module, config: StudentConfig) -> list[torch.optim.Optimizer]:
    """Muon and AdamW for whole networks, AdamW for LoRA and for heads."""
    trained = [p for p in network.parameters() if p.requires_grad]
    if name == "adversarial":
        return [torch.optim.AdamW(trained, lr=config.heads_lr, betas=(0.5, 0.99), weight_decay=0.0)]
    lr = config.lr if name == "student" else config.fake_lr
    if config.kind == "lora":
        return [torch.optim.AdamW(trained, lr=lr, betas=(0.9, 0.95), weight_decay=0.0)]
    return optimizers_for(network, lr, config.adam_lr * lr / config.lr, config.weight_decay)


def merged_state(student: nn.Module, averaged: dict[str, Tensor]) -> dict[str, Tensor]:
    """The averaged student as a plain network's state dict, LoRA added into the weights it stands beside.

    Of a sharded student every process has to ask.
    """
    state: dict[str, Any] = {**_whole(student), **averaged}
    plain: dict[str, Tensor] = {}
    for name, value in state.items():
        if "lora_" in name:
            continue
        base = name.replace(".base_layer.", ".")
        stem = name.rsplit(".base_layer.", 1)[0]
        down = state.get(f"{stem}.lora_A.default.weight")
        if ".base_layer." in name and name.endswith("weight") and down is not None:
            # lora_alpha is the rank, so that the product counts once.
            value = value + state[f"{stem}.lora_B.default.weight"] @ down
        plain[base] = value.detach().clone()
    return plain


def lora_state(
    student: nn.Module, averaged: dict[str, Tensor], rename: Callable[[str], str] = str
) -> dict[str, Tensor]:
    """The averaged LoRA layers under the names that ComfyUI's Load LoRA reads; `rename` gives a layer's.

    Of a sharded student every process has to ask.
    """
    found = {
        f"diffusion_model.{rename(name.replace('.default.', '.'))}": averaged.get(name, value)
        .detach()
        .clone()
        for name, value in _whole(student).items()
        if "lora_" in name
    }
    if not found:
        raise ValueError("The student has no LoRA layers: its recipe trains the whole network, so pack that.")
    return found


def _whole(student: nn.Module) -> dict[str, Tensor]:
    return {name: whole(value) for name, value in student.state_dict().items()}
