"""Writes tiny checkpoints of the host's own networks with what they compute.

Run as `cpu_shim.py THIS COMFYUI FOLDER`, for test_adapters.py: `<name>.safetensors` is a checkpoint in the
layout that the host loads, and `<name>.values.safetensors` holds inputs and outputs of the host's network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LTXV = {
    "num_attention_heads": 2,
    "attention_head_dim": 10,
    "cross_attention_dim": 20,
    "caption_channels": 14,
    "in_channels": 12,
    "num_layers": 2,
}
WAN = {"num_heads": 2, "text_dim": 14, "freq_dim": 16}
STRENGTHS = (0.7, -0.4)


def main() -> None:
    comfyui, folder = sys.argv[1], Path(sys.argv[2])
    sys.path.insert(0, comfyui)
    sys.argv = ["main.py", "--cpu", "--use-pytorch-cross-attention"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch

    torch.set_grad_enabled(False)
    write_ltxv(folder, "ltxv", {})
    write_ltxv(folder, "ltxv_causal", {"causal_temporal_positioning": True})
    write_wan(folder)


def save(folder: Path, name: str, network: Any, prefix: str, config: dict[str, Any] | None) -> None:
    from safetensors.torch import save_file

    state = {prefix + key: value.contiguous() for key, value in network.state_dict().items()}
    metadata = {"config": json.dumps(config)} if config else None
    save_file(state, folder / f"{name}.safetensors", metadata=metadata)


def save_values(folder: Path, name: str, **values: Any) -> None:
    from safetensors.torch import save_file

    made = {key: value.contiguous() for key, value in values.items()}
    save_file(made, folder / f"{name}.values.safetensors")


def fill(network: Any, seed: int) -> Any:
    """Every number random, so that no two tensors can be taken for each other; norms near one."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if not value.is_floating_point() or value.ndim == 0:
            continue
        noise = 0.25 * torch.randn(value.shape, generator=generator)
        norm = ("norm" in name and name.endswith("weight")) or name.endswith("gamma")
        value.copy_(1 + noise if norm else noise)
    return network.eval()


def random(seed: int, *shape: int) -> Any:
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def write_ltxv(folder: Path, name: str, more: dict[str, Any]) -> None:
    import comfy.ops
    import torch
    from comfy.ldm.lightricks.model import LTXVModel

    config = {**LTXV, **more}
    network = LTXVModel(device="cpu", dtype=torch.float32, operations=comfy.ops.disable_weight_init, **config)
    fill(network, 1)
    save(folder, name, network, "model.diffusion_model.", {"transformer": config})
    latent, context = random(2, 2, 12, 3, 5, 4), random(3, 2, 7, 14)
    mask = torch.ones((2, 7), dtype=torch.long)
    mask[1, 4:] = 0
    # Time per frame: the first frame is given.
    times = torch.tensor([[0.0, 0.6, 0.6], [0.0, 0.9, 0.9]])
    per_token = times[:, :, None].expand(2, 3, 20).reshape(2, 60, 1)
    out = network(latent, per_token, context, mask, frame_rate=24.0)
    save_values(
        folder,
        name,
        latent=latent,
        timestep=times,
        context=context,
        context_mask=mask.float(),
        fps=torch.full((2,), 24.0),
        velocity=out,
    )


def write_wan(folder: Path) -> None:
    import comfy.ops
    import torch
    from comfy.ldm.wan.model import WanModel

    for name, channels in (("wan", (5, 5)), ("wan_given", (9, 5))):
        network = WanModel(
            model_type="t2v",
            in_dim=channels[0],
            out_dim=channels[1],
            dim=28,
            ffn_dim=40,
            num_layers=2,
            device="cpu",
            dtype=torch.float32,
            operations=comfy.ops.disable_weight_init,
            **WAN,
        )
        fill(network, 4)
        save(folder, name, network, "", {"transformer": WAN})
        # An odd height, which the host pads.
        latent, context = random(5, 2, channels[0], 3, 5, 4), random(6, 2, 9, 14)
        times = torch.tensor([310.0, 870.0])
        out = network(latent, times, context)
        given = {"given": latent[:, channels[1] :]} if channels[0] > channels[1] else {}
        save_values(
            folder,
            name,
            latent=latent[:, : channels[1]],
            timestep=times[:, None].expand(2, 3),
            context=context,
            velocity=out,
            **given,
        )


if __name__ == "__main__":
    main()
