"""Looks at our MODEL from inside ComfyUI's own process: `python cpu_shim.py whitebox.py COMFYUI MODEL_FILE`.

Writes one JSON object for test_nodes_whitebox.py: what only a graphics card with too little memory would
show, and the hooks that packs of accelerations use.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    comfyui, model_file = sys.argv[1:3]
    sys.path.insert(0, comfyui)
    # ComfyUI reads its options from the command line, when told to.
    sys.argv = ["main.py", "--cpu", "--use-pytorch-cross-attention"]
    import comfy.options

    comfy.options.enable_args_parsing()
    import torch

    torch.set_grad_enabled(False)
    import_pack()
    sys.stdout.write(json.dumps(look(model_file)) + "\n")


def import_pack() -> None:
    """Make the pack importable by name: ComfyUI's environment does not have it installed."""
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "comfyui_pocketvideo", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def look(model_file: str) -> dict[str, Any]:
    import comfy.cli_args
    import comfy.model_management
    import comfy.patcher_extension
    import torch
    from comfyui_pocketvideo.nodes.host.loading import load_for_host

    model, clip, _ = load_for_host(Path(model_file))
    tokens = clip.tokenize("a red circle moves left")
    features, options = clip.encode_from_tokens_scheduled(tokens)[0]
    latent = torch.randn((1, 24, 3, 2, 2), generator=torch.Generator().manual_seed(1))

    def evaluate(patcher: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
        comfy.model_management.load_models_gpu([patcher])
        return call(patcher, mask)

    def call(patcher: Any, mask: torch.Tensor | None = None) -> torch.Tensor:
        conds = patcher.model.extra_conds(cross_attn=features, device="cpu", denoise_mask=mask, noise=latent)
        inputs = {name: cond.process_cond(batch_size=1).cond for name, cond in conds.items()}
        return patcher.model.apply_model(
            latent,
            torch.tensor([0.7]),
            transformer_options=patcher.model_options["transformer_options"],
            **inputs,
        )

    whole = evaluate(model)

    # A LoRA, so that patched weights are computed on the way, too.
    weight = torch.randn(model.model.diffusion_model.blocks[0].attn.qkv.weight.shape)
    patched = model.clone()
    patched.add_patches({"diffusion_model.blocks.0.attn.qkv.weight": ("diff", (weight,))}, 0.1)
    patched_whole = evaluate(patched)

    def in_pieces(patcher: Any) -> tuple[torch.Tensor, bool]:
        comfy.model_management.unload_all_models()
        patcher.patch_model(patcher.load_device, lowvram_model_memory=1_000_000)
        try:
            return call(patcher), bool(patcher.model.model_lowvram)
        finally:
            patcher.unpatch_model(patcher.offload_device)

    pieces, was_partial = in_pieces(model)
    patched_pieces, _ = in_pieces(patched)

    calls = {"wrapper": 0, "block": 0}

    def wrapper(executor: Any, *args: Any, **kwargs: Any) -> Any:
        calls["wrapper"] += 1
        return executor(*args, **kwargs)

    def same(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        calls["block"] += 1
        return extra["original_block"](args)

    def skip(args: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
        return {"img": args["img"]}

    hooked = model.clone()
    hooked.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "test", wrapper)
    hooked.set_model_patch_replace(same, "dit", "double_block", 0)
    # Wrappers travel in the options only while sampling; what counts here is that they are called.
    hooked.model_options["transformer_options"]["wrappers"] = hooked.wrappers
    hooked_out = evaluate(hooked)
    skipped = model.clone()
    skipped.set_model_patch_replace(skip, "dit", "double_block", 3)

    mask = torch.ones((1, 1, 3, 2, 2))
    mask[:, :, 0] = 0
    times = model.model.process_timestep(torch.tensor([0.7]), denoise_mask=mask)
    told = []
    from comfy_extras.nodes_model_advanced import ModelSamplingAuraFlow, ModelSamplingSD3

    seen = model.clone()

    def listen(executor: Any, x: Any, timestep: Any, *args: Any, **kwargs: Any) -> Any:
        told.append(timestep.flatten().tolist())
        return executor(x, timestep, *args, **kwargs)

    seen.add_wrapper_with_key(comfy.patcher_extension.WrappersMP.DIFFUSION_MODEL, "test", listen)
    seen.model_options["transformer_options"]["wrappers"] = seen.wrappers
    for shifted in (
        seen,
        ModelSamplingSD3().patch(seen, 5.0)[0],
        ModelSamplingAuraFlow().patch_aura(seen, 5.0)[0],
    ):
        evaluate(shifted)

    sampling = model.get_model_object("model_sampling")
    comfy.cli_args.args.bf16_unet = True
    half = load_for_host(Path(model_file)).model
    half_out = evaluate(half)

    return {
        "attention_mask": options["attention_mask"].sum().item(),
        "features": list(features.shape),
        "partial": was_partial,
        "pieces_equal": torch.equal(pieces, whole),
        "patched_differs": not torch.equal(patched_whole, whole),
        "patched_pieces_difference": (patched_pieces - patched_whole).abs().max().item(),
        "after_equal": torch.equal(evaluate(model), whole),
        "calls": calls,
        "hooked_equal": torch.equal(hooked_out, whole),
        "skipped_differs": not torch.equal(evaluate(skipped), whole),
        "times": times.tolist(),
        "told": told,
        "time_of_half": float(sampling.timestep(torch.tensor(0.5))),
        "shift": float(sampling.shift),
        "half_dtype": str(next(half.model.diffusion_model.parameters()).dtype),
        "half_error": ((half_out - whole).norm() / whole.norm()).item(),
        "memory": model.memory_required([1, 24, 3, 2, 2]),
    }


if __name__ == "__main__":
    main()
