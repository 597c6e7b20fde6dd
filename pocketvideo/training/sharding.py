"""A network whose weights, gradients and optimizer states lie in pieces, one per process: torch's FSDP2.

accelerate knows FSDP on accelerators alone and takes one network per run; a few-step run trains several, and
a machine of many cores may be all that there is. So networks are sharded here, by `fully_shard`, inside the
process group that accelerate made; what is not sharded stays accelerate's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

Optimizers = list[torch.optim.Optimizer]


def process_mesh(device: torch.device, processes: int) -> DeviceMesh:
    """All processes in a row. Needs the process group that accelerate makes in a run of several."""
    return init_device_mesh(device.type, (processes,))


def shard(network: nn.Module, mesh: DeviceMesh) -> nn.Module:
    """`network` itself, in pieces: every block by itself, so that one at a time is whole, then the rest."""
    for child in network.children():
        if isinstance(child, nn.ModuleList):
            for block in child:
                fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)
    return network


def is_sharded(network: nn.Module) -> bool:
    """True for what `shard` gave."""
    return isinstance(network, FSDPModule)


def whole(value: Tensor) -> Tensor:
    """A tensor that every process has whole. All processes have to ask for it."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Tensor, pieces: Tensor) -> Tensor:
    """A whole tensor, the same in every process, in the pieces of another one."""
    if not isinstance(pieces, DTensor):
        return value
    value = value.to(pieces.device)
    # Every process cuts its own piece out, with no word to the others.
    return distribute_tensor(value, pieces.device_mesh, pieces.placements, src_data_rank=None)


class ShardedTraining:
    """A sharded network with its optimizers and schedules, as accelerate registers it for checkpoints.

    A checkpoint holds everything whole, so that it goes on with another number of processes.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizers_of: Callable[[nn.Module], Optimizers],
        rate: Callable[[int], float],
    ):
        self.network = network
        self.optimizers = optimizers_of(network)
        self.schedules = [torch.optim.lr_scheduler.LambdaLR(one, rate) for one in self.optimizers]

    def state_dict(self) -> dict[str, Any]:
        """Collective: every process has to ask."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        network, optimizers = get_state_dict(self.network, self.optimizers, options=options)
        schedules = [schedule.state_dict() for schedule in self.schedules]
        return {"network": network, "optimizers": optimizers, "schedules": schedules}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Every process gives the same whole state and keeps its piece."""
        set_state_dict(
            self.network,
            self.optimizers,
            model_state_dict=state["network"],
            optim_state_dict=state["optimizers"],
            options=StateDictOptions(full_state_dict=True),
        )
        for schedule, one in zip(self.schedules, state["schedules"], strict=True):
            schedule.load_state_dict(one)
