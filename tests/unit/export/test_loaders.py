"""ComfyUI's own loaders in a workflow: which files a plan is made from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups, main
from comfyui_pocketvideo.pocketvideo.export.checkpoints import FAMILIES, PartFile
from safetensors.numpy import save_file

LTXV, WAN = FAMILIES
JSON = dict[str, Any]


def node(class_type: str, **inputs: Any) -> JSON:
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture
def desk(tmp_path: Path) -> FolderLookups:
    """A ComfyUI folder with files whose headers say what they are; compiling reads no more."""

    def write(name: str, *keys: str) -> None:
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({key: np.zeros(1, np.float32) for key in keys}, path)

    write("diffusion_models/ltxv.safetensors", LTXV.marker)
    write("diffusion_models/other.safetensors", "conv.weight")
    write("diffusion_models/wan.safetensors", WAN.marker)
    write("diffusion_models/wan_low.safetensors", WAN.marker)
    write("vae/ltxv.safetensors", LTXV.vae_marker)
    write("vae/wan.safetensors", WAN.vae_marker)
    write("text_encoders/t5.safetensors", "shared.weight")
    write("loras/a.safetensors", "x")
    write("loras/b.safetensors", "x")
    write(
        "checkpoints/ltxv.safetensors",
        f"model.diffusion_model.{LTXV.marker}",
        f"vae.{LTXV.vae_marker}",
    )
    (tmp_path / "models" / "vae" / "broken.safetensors").write_bytes(b"not a file")
    return FolderLookups(None, tmp_path, tmp_path)


def ltxv(**changes: JSON) -> JSON:
    graph = {
        "1": node("UNETLoader", unet_name="ltxv.safetensors", weight_dtype="default"),
        "2": node("CLIPLoader", clip_name="t5.safetensors", type="ltxv", device="default"),
        "3": node("VAELoader", vae_name="ltxv.safetensors"),
        "4": node("CLIPTextEncode", clip=["2", 0], text="a circle"),
        "5": node("CLIPTextEncode", clip=["2", 0], text=""),
        "6": node("LTXVConditioning", positive=["4", 0], negative=["5", 0], frame_rate=24.0),
        "7": node("EmptyLTXVLatentVideo", width=96, height=64, length=17, batch_size=1),
        "8": node("LoraLoaderModelOnly", model=["1", 0], lora_name="a.safetensors", strength_model=0.5),
        "9": node("LoraLoaderModelOnly", model=["8", 0], lora_name="b.safetensors", strength_model=-1.0),
        "10": node(
            "KSampler",
            model=["9", 0],
            positive=["6", 0],
            negative=["6", 1],
            latent_image=["7", 0],
            seed=1,
            steps=4,
            cfg=3.0,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
        ),
        "11": node("VAEDecode", samples=["10", 0], vae=["3", 0]),
        "12": node("CreateVideo", images=["11", 0], fps=24.0),
        "13": node("SaveVideo", video=["12", 0], filename_prefix="v", format="auto", codec="auto"),
    }
    return graph | changes


def wan(**changes: JSON) -> JSON:
    graph = ltxv() | {
        "1": node("UNETLoader", unet_name="wan.safetensors", weight_dtype="default"),
        "2": node("CLIPLoader", clip_name="t5.safetensors", type="wan", device="default"),
        "3": node("VAELoader", vae_name="wan.safetensors"),
        "7": node(
            "WanImageToVideo",
            positive=["4", 0],
            negative=["5", 0],
            vae=["3", 0],
            width=96,
            height=64,
            length=9,
            batch_size=1,
        ),
    }
    del graph["6"]
    sampler = graph["10"]["inputs"]
    sampler |= {"positive": ["7", 0], "negative": ["7", 1], "latent_image": ["7", 2], "model": ["1", 0]}
    return graph | changes


def test_a_plan_names_its_files_and_says_how_the_model_is_sampled(
    desk: FolderLookups, tmp_path: Path
) -> None:
    plan = compile_workflow(ltxv(), None, desk)
    models = tmp_path / "models"
    loras = ((models / "loras/a.safetensors", 0.5), (models / "loras/b.safetensors", -1.0))
    assert plan.parts["denoiser"] == PartFile(
        "ltxv", "denoiser", models / "diffusion_models/ltxv.safetensors", loras
    )
    assert plan.parts["text_encoder"].tokenizer is not None
    assert plan.parts["vae_decoder"].path == models / "vae/ltxv.safetensors"
    (denoise,) = [op for op in plan.ops if op["op"] == "denoise"]
    assert denoise["frame_rate"] == 24.0
    assert denoise["schedule"]["curve"] == "flux"
    assert next(op for op in plan.ops if op["op"] == "noise")["shape"] == [1, 128, 3, 2, 3]
    assert plan.components == ("text_encoder", "denoiser", "vae_decoder")


def test_wan_decodes_in_pieces_and_is_told_a_thousandfold_time(desk: FolderLookups) -> None:
    plan = compile_workflow(wan(), None, desk)
    (denoise,) = [op for op in plan.ops if op["op"] == "denoise"]
    assert denoise["schedule"]["multiplier"] == 1000.0
    assert "frame_rate" not in denoise
    (decode,) = [op for op in plan.ops if op["op"] == "decode"]
    assert decode["next"] == "vae_decoder_next"
    assert set(plan.components) == {"text_encoder", "denoiser", "vae_decoder", "vae_decoder_next"}


def test_the_photo_of_ltx_video_is_its_first_frame(desk: FolderLookups, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"read when the bundle is written")
    graph = ltxv()
    graph["7"] = node(
        "LTXVImgToVideo",
        positive=["4", 0],
        negative=["5", 0],
        vae=["3", 0],
        image=["14", 0],
        width=96,
        height=64,
        length=17,
        batch_size=1,
        strength=1.0,
    )
    graph["14"] = node("LoadImage", image="photo.png")
    graph["6"]["inputs"] |= {"positive": ["7", 0], "negative": ["7", 1]}
    graph["10"]["inputs"]["latent_image"] = ["7", 2]
    plan = compile_workflow(graph, None, desk)
    assert plan.parts["vae_encoder"].path == tmp_path / "models/vae/ltxv.safetensors"
    assert next(op for op in plan.ops if op["op"] == "denoise")["first_frame"] == {"op": "first_frame"}
    graph["7"]["inputs"]["strength"] = 0.5
    with pytest.raises(WorkflowError, match=r"Input strength .* is not 1"):
        compile_workflow(graph, None, desk)


CHECKPOINT = node("CheckpointLoaderSimple", ckpt_name="ltxv.safetensors")
REFUSED: list[tuple[str, JSON, str]] = [
    ("no adapter", ltxv(**{"1": node("UNETLoader", unet_name="other.safetensors", weight_dtype="default")}),
     r"node 1, UNETLoader.* no adapter; those that have one are LTX-Video and Wan 2\.1"),
    ("no file", ltxv(**{"1": node("UNETLoader", unet_name="none.safetensors", weight_dtype="default")}),
     r"no file none\.safetensors in models/diffusion_models"),
    ("outside", ltxv(**{"3": node("VAELoader", vae_name="../loras/a.safetensors")}), "no file"),
    ("broken", ltxv(**{"3": node("VAELoader", vae_name="broken.safetensors")}), "not a safetensors file"),
    ("other VAE", ltxv(**{"3": node("VAELoader", vae_name="wan.safetensors")}), "use one model for both"),
    ("other text", ltxv(**{"2": node("CLIPLoader", clip_name="t5.safetensors", type="wan")}),
     "use one model for both"),
    ("type", ltxv(**{"2": node("CLIPLoader", clip_name="t5.safetensors", type="sd3")}), "ltxv or wan"),
    ("fp8", ltxv(**{"1": node("UNETLoader", unet_name="ltxv.safetensors", weight_dtype="fp8_e5m2")}),
     "set it to default"),
    ("weights", ltxv(**{"4": node("CLIPTextEncode", clip=["2", 0], text="a (red:1.2) circle")}),
     r"The text of node .*node 4.* weights in parentheses"),
    ("no text", ltxv(**{"1": CHECKPOINT, "4": node("CLIPTextEncode", clip=["1", 1], text="a")}),
     "a checkpoint without a text encoder; link a Load CLIP"),
    ("two models", wan(
        **{
            "14": node("UNETLoader", unet_name="wan_low.safetensors", weight_dtype="default"),
            "15": node(
                "KSampler", **(wan()["10"]["inputs"] | {"model": ["14", 0], "latent_image": ["10", 0]})
            ),
            "11": node("VAEDecode", samples=["15", 0], vae=["3", 0]),
        }
    ), "use different files for the denoiser"),
    ("picture for Wan", wan(
        **{
            "14": node("LoadImage", image="x.png"),
            "7": node("WanImageToVideo", **(wan()["7"]["inputs"] | {"start_image": ["14", 0]})),
        }
    ), "gives a picture to Wan, which is not exported yet"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("graph", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_what_a_device_cannot_do_is_one_sentence(
    desk: FolderLookups, tmp_path: Path, graph: JSON, words: str
) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(WorkflowError, match=words) as raised:
        compile_workflow(graph, None, desk)
    assert "\n" not in str(raised.value)


def test_a_checkpoint_gives_model_and_vae(desk: FolderLookups, tmp_path: Path) -> None:
    graph = ltxv(**{"1": CHECKPOINT})
    graph["11"]["inputs"]["vae"] = ["1", 2]
    plan = compile_workflow(graph, None, desk)
    path = tmp_path / "models/checkpoints/ltxv.safetensors"
    assert {plan.parts["denoiser"].path, plan.parts["vae_decoder"].path} == {path}


def test_the_command_asks_for_comfyui_where_a_workflow_loads_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.json").write_text(json.dumps(ltxv()), "utf-8")
    given = ["--workflow", str(tmp_path / "w.json"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main(given)
    assert main([*given, "--model", str(tmp_path / "m.safetensors")]) == 1
    assert "name ComfyUI with --comfyui" in capsys.readouterr().err
    assert main([*given, "--comfyui", str(tmp_path)]) == 1
    assert "no file ltxv.safetensors in models/diffusion_models" in capsys.readouterr().err
