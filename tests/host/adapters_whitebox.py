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
VAE = {
    "dims": 3,
    "latent_channels": 128,
    "norm_layer": "pixel_norm",
    "latent_log_var": "uniform",
    "patch_size": 4,
    "causal_decoder": False,
    "encoder_base_channels": 8,
    "decoder_base_channels": 8,
}
OLD_VAE = {
    **VAE,
    "blocks": [
        ["res_x", 1],
        ["compress_all", 1],
        ["res_x_y", 1],
        ["compress_all", 1],
        ["compress_all", 1],
        ["res_x", 1],
    ],
}
TIMED_VAE = {
    **VAE,
    "timestep_conditioning": True,
    "encoder_blocks": [
        ["res_x", {"num_layers": 1}],
        ["compress_space_res", {"multiplier": 2}],
        ["compress_time_res", {"multiplier": 2}],
        ["compress_all_res", {"multiplier": 1}],
        ["compress_all", {}],
    ],
    "decoder_blocks": [
        ["res_x", {"num_layers": 2}],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["compress_space", {}],
        ["res_x", {"num_layers": 1}],
        ["compress_time", {}],
        ["compress_all", {"residual": True, "multiplier": 2}],
        ["res_x", {"num_layers": 1}],
    ],
}
T5 = {
    "d_ff": 24,
    "d_kv": 6,
    "d_model": 16,
    "dense_act_fn": "gelu_pytorch_tanh",
    "is_gated_act": True,
    "num_heads": 3,
    "num_layers": 2,
}
PROMPTS = (
    "a red circle moves left",
    "Two\n  lines,  50% \u2014 \u65e5\u672c\u8a9e \U0001f600 </s> caf\u00e9",
    "",
)
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
    write_ltxv_vae(folder, "ltxv_vae", OLD_VAE)
    write_ltxv_vae(folder, "ltxv_vae_timed", TIMED_VAE)
    write_wan_vae(folder)
    write_wan22_vae(folder)
    write_t5(folder)
    write_umt5(folder)


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

    for name, channels in (("wan", (5, 5)), ("wan_given", (9, 5)), ("wan_timed", (5, 5))):
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
        times = torch.tensor([310.0, 870.0])[:, None].expand(2, 3).clone()
        if name == "wan_timed":
            # Wan 2.2 5B from a picture: the first frame is given.
            times[:, 0] = 0
            out = network(latent, times, context)
        else:
            out = network(latent, times[:, 0], context)
        given = {"given": latent[:, channels[1] :]} if channels[0] > channels[1] else {}
        save_values(
            folder,
            name,
            latent=latent[:, : channels[1]],
            timestep=times,
            context=context,
            velocity=out,
            **given,
        )


def write_ltxv_vae(folder: Path, name: str, config: dict[str, Any]) -> None:
    import torch
    from comfy.ldm.lightricks.vae.causal_video_autoencoder import VideoVAE

    vae = fill(VideoVAE(config=config), 7)
    vae.per_channel_statistics.get_buffer("std-of-means").abs_().add_(0.5)
    save(folder, name, vae, "", {"vae": config})
    latent, image = random(8, 1, 128, 3, 3, 2), random(9, 1, 3, 1, 64, 96)
    torch.manual_seed(10)
    noise = torch.randn_like(latent)
    torch.manual_seed(10)
    save_values(
        folder,
        name,
        latent=latent,
        noise=noise,
        frames=vae.decode(latent),
        image=image,
        encoded=vae.encode(image),
    )


def write_wan_vae(folder: Path) -> None:
    """Of a clip that is decoded, of one that is encoded, and of a picture."""
    from comfy.latent_formats import Wan21
    from comfy.ldm.wan.vae import WanVAE

    vae, scale = fill(WanVAE(dim=8, z_dim=16, temperal_downsample=[False, True, True]), 11), Wan21()
    save(folder, "wan_vae", vae, "vae.", None)
    latent, clip = random(12, 1, 16, 4, 3, 2), random(19, 1, 3, 13, 40, 24)
    save_values(
        folder,
        "wan_vae",
        latent=latent,
        frames=vae.decode(scale.process_out(latent)),
        clip=clip,
        encoded_clip=scale.process_in(vae.encode(clip)),
        encoded_picture=scale.process_in(vae.encode(clip[:, :, :1])),
    )


def write_wan22_vae(folder: Path) -> None:
    from comfy.latent_formats import Wan22
    from comfy.ldm.wan.vae2_2 import WanVAE

    sizes = {"dim": 4, "dec_dim": 8, "z_dim": 48, "temperal_downsample": [False, True, True]}
    vae, scale = fill(WanVAE(**sizes), 20), Wan22()
    save(folder, "wan22_vae", vae, "", None)
    latent, clip = random(21, 1, 48, 3, 3, 2), random(22, 1, 3, 9, 48, 32)
    save_values(
        folder,
        "wan22_vae",
        latent=latent,
        frames=vae.decode(scale.process_out(latent)),
        clip=clip,
        encoded_clip=scale.process_in(vae.encode(clip)),
        encoded_picture=scale.process_in(vae.encode(clip[:, :, :1])),
    )


def tokens(tokenizer: Any, text: str) -> list[int]:
    """The ids that the host gives to the network."""
    (batch,) = tokenizer.tokenize_with_weights(text).values()
    return [int(token) for token, _ in batch[0]]


def write_t5(folder: Path) -> None:
    import torch
    from comfy.text_encoders.genmo import T5XXLModel
    from comfy.text_encoders.lt import LTXVT5Tokenizer

    options = {"t5xxl_model_config": {**T5, "vocab_size": 32128}}
    model = T5XXLModel(device="cpu", dtype=torch.float32, model_options=options)
    fill(model.transformer, 13)
    save(folder, "ltxv_text", model.transformer, "", None)
    tokenizer = LTXVT5Tokenizer()
    encode(folder, "ltxv_text", model, [tokens(tokenizer, text) for text in PROMPTS])


def write_umt5(folder: Path) -> None:
    import comfy.text_encoders.wan
    import sentencepiece  # type: ignore[import-not-found]
    import torch
    from safetensors.torch import save_file

    text = folder / "corpus.txt"
    text.write_text("a red circle moves left\na blue square goes right over green ground\n" * 20, "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=320,
        byte_fallback=True,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
    )
    spiece = torch.frombuffer(bytearray((folder / "spiece.model").read_bytes()), dtype=torch.uint8)
    tokenizer = comfy.text_encoders.wan.WanT5Tokenizer(tokenizer_data={"spiece_model": spiece})
    ids = [tokens(tokenizer, prompt) for prompt in PROMPTS]
    options: dict[str, Any] = {"umt5xxl_model_config": {**T5, "model_type": "umt5", "vocab_size": 512}}
    options["model_name"] = "umt5xxl"
    model = comfy.text_encoders.wan.UMT5XXlModel(device="cpu", dtype=torch.float32, model_options=options)
    fill(model.transformer, 14)
    state = {key: value.contiguous() for key, value in model.transformer.state_dict().items()}
    save_file({**state, "spiece_model": spiece}, folder / "wan_text.safetensors")
    encode(folder, "wan_text", model, ids)


def encode(folder: Path, name: str, model: Any, ids: list[list[int]]) -> None:
    import torch

    features = model(ids)[0]
    save_values(folder, name, ids=torch.tensor(ids), features=features)


if __name__ == "__main__":
    main()
