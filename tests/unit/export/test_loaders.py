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

LTXV, WAN, WAN22 = FAMILIES
JSON = dict[str, Any]


def node(class_type: str, **inputs: Any) -> JSON:
    return {"class_type": class_type, "inputs": inputs}


@pytest.fixture
def desk(tmp_path: Path) -> FolderLookups:
    """A ComfyUI folder with files whose headers say what they are; compiling reads no more."""

    def write(name: str, *keys: str, **shapes: tuple[int, ...]) -> None:
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        sized = dict.fromkeys(keys, (1,)) | {key.replace("__", "."): at for key, at in shapes.items()}
        save_file({key: np.zeros(shape, np.float32) for key, shape in sized.items()}, path)

    write("diffusion_models/ltxv.safetensors", LTXV.marker)
    write("diffusion_models/other.safetensors", "conv.weight")
    write("diffusion_models/wan.safetensors", WAN.marker)
    write("diffusion_models/wan_low.safetensors", WAN.marker)
    write("diffusion_models/wan_i2v.safetensors", WAN.marker, patch_embedding__weight=(1, 36, 1, 1, 1))
    write("diffusion_models/wan_control.safetensors", WAN.marker, patch_embedding__weight=(1, 52, 1, 1, 1))
    write("diffusion_models/wan_vision.safetensors", WAN.marker, "img_emb.proj.0.bias")
    write("diffusion_models/wan22.safetensors", WAN22.marker, head__head__weight=(192, 1))
    write("vae/wan22.safetensors", WAN22.vae_marker, WAN.vae_marker)
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


def start() -> JSON:
    """A picture that the clip begins with."""
    given = node("WanImageToVideo", **(wan()["7"]["inputs"] | {"start_image": ["14", 0]}))
    return {"14": node("LoadImage", image="x.png"), "7": given}


def i2v() -> JSON:
    """The same with a model that reads it."""
    model = node("UNETLoader", unet_name="wan_i2v.safetensors", weight_dtype="default")
    return wan(**start()) | {"1": model}


def test_wan_reads_a_picture_and_the_grey_frames_after_it(desk: FolderLookups, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"read when the bundle is written")
    plan = compile_workflow(i2v(), None, desk)
    (encode,) = [op for op in plan.ops if op["op"] == "encode_image"]
    assert encode["component"] == "vae_encoder_start"
    assert encode["later"] == {"component": "vae_encoder_next", "pieces": 2, "frames": 4}
    (denoise,) = [op for op in plan.ops if op["op"] == "denoise"]
    assert denoise["given"] == {"channels": 20, "latent": {"op": encode["id"]}}
    assert denoise["first_frame"] is None
    assert {"vae_encoder_start", "vae_encoder_next"} < set(plan.components)
    assert plan.parts["vae_encoder"].path.name == "wan.safetensors"
    assert plan.inputs["photo"]["width"] == 96
    single = i2v()
    single["7"]["inputs"]["length"] = 1
    (alone,) = [op for op in compile_workflow(single, None, desk).ops if op["op"] == "encode_image"]
    assert alone["component"] == "vae_encoder" and "later" not in alone


def test_a_picture_model_without_a_picture_reads_zeros(desk: FolderLookups) -> None:
    model = node("UNETLoader", unet_name="wan_i2v.safetensors", weight_dtype="default")
    plan = compile_workflow(wan(**{"1": model}), None, desk)
    assert next(op for op in plan.ops if op["op"] == "denoise")["given"] == {"channels": 20}
    assert "vae_encoder" not in plan.parts


def test_wan_22_has_latents_of_its_own_and_the_text_encoder_of_21(
    desk: FolderLookups, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(b"read when the bundle is written")
    graph = wan(
        **{
            "1": node("UNETLoader", unet_name="wan22.safetensors", weight_dtype="default"),
            "3": node("VAELoader", vae_name="wan22.safetensors"),
            "7": node(
                "Wan22ImageToVideoLatent",
                vae=["3", 0],
                width=96,
                height=64,
                length=9,
                batch_size=1,
                start_image=["14", 0],
            ),
            "14": node("LoadImage", image="x.png"),
        }
    )
    graph["10"]["inputs"] |= {"positive": ["4", 0], "negative": ["5", 0], "latent_image": ["7", 0]}
    plan = compile_workflow(graph, None, desk)
    assert next(op for op in plan.ops if op["op"] == "noise")["shape"] == [1, 48, 3, 4, 6]
    assert next(op for op in plan.ops if op["op"] == "denoise")["first_frame"] == {"op": "first_frame"}
    assert {part.family for part in plan.parts.values()} == {"wan22", "wan"}
    assert plan.parts["text_encoder"].family == "wan"
    del graph["7"]["inputs"]["start_image"]
    plan = compile_workflow(graph, None, desk)
    assert next(op for op in plan.ops if op["op"] == "denoise")["first_frame"] is None
    graph["3"]["inputs"]["vae_name"] = "wan.safetensors"
    with pytest.raises(WorkflowError, match=r"comes from Wan 2\.1 but the latent from Wan 2\.2 5B"):
        compile_workflow(graph, None, desk)


def test_two_experts_are_two_denoisers(desk: FolderLookups) -> None:
    low = node("UNETLoader", unet_name="wan_low.safetensors", weight_dtype="default")
    second = node("KSampler", **(wan()["10"]["inputs"] | {"model": ["14", 0], "latent_image": ["10", 0]}))
    graph = wan(**{"14": low, "15": second, "11": node("VAEDecode", samples=["15", 0], vae=["3", 0])})
    plan = compile_workflow(graph, None, desk)
    denoised = [op for op in plan.ops if op["op"] == "denoise"]
    assert [op["component"] for op in denoised] == ["denoiser", "denoiser_2"]
    files = {name: part.path.name for name, part in plan.parts.items() if part.kind == "denoiser"}
    assert files == {"denoiser": "wan.safetensors", "denoiser_2": "wan_low.safetensors"}
    assert {"denoiser", "denoiser_2"} < set(plan.components)
    # One file is one network, however often it is loaded; LoRAs make another of it.
    low["inputs"]["unet_name"] = "wan.safetensors"
    assert "denoiser_2" not in compile_workflow(graph, None, desk).parts
    graph["16"] = node("LoraLoaderModelOnly", model=["14", 0], lora_name="a.safetensors", strength_model=0.5)
    second["inputs"]["model"] = ["16", 0]
    assert compile_workflow(graph, None, desk).parts["denoiser_2"].loras


def unet(name: str) -> JSON:
    return node("UNETLoader", unet_name=f"{name}.safetensors", weight_dtype="default")


CHECKPOINT = node("CheckpointLoaderSimple", ckpt_name="ltxv.safetensors")
REFUSED: list[tuple[str, JSON, str]] = [
    ("no adapter", ltxv(**{"1": node("UNETLoader", unet_name="other.safetensors", weight_dtype="default")}),
     r"node 1, UNETLoader.* no adapter; those that have one are LTX-Video, Wan 2\.1 and Wan 2\.2 5B"),
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
    ("CLIP Vision", wan(**{"1": unet("wan_vision")}),
     "CLIP Vision's features of a picture .Wan 2.1 image to video., which is not exported; use Wan 2.2's"),
    ("vision output", wan(**{
        "7": node("WanImageToVideo", **wan()["7"]["inputs"], clip_vision_output=["3", 0])}),
     "Input clip_vision_output of .*node 7.* describes a picture to .* Wan 2.1, .* unlink it"),
    ("control", wan(**{"1": unet("wan_control")}),
     "reads 36 channels besides the latent"),
    ("picture for text to video", wan(**start()),
     "Input positive of .*node 10.* begins with a picture, which Wan 2.1 does not read in this file"),
    ("other latent", wan(**i2v() | {
        "16": node("EmptyHunyuanLatentVideo", width=64, height=64, length=9, batch_size=1),
        "10": node("KSampler", **(i2v()["10"]["inputs"] | {"latent_image": ["16", 0]}))}),
     "Input latent_image of .*node 10.* is 64 x 64 of 9 frames and the clip of the start image 96 x 64 of 9"),
    ("two pictures", wan(**i2v() | {
        "17": node("WanImageToVideo", **(i2v()["7"]["inputs"] | {"length": 13})),
        "10": node("KSampler", **(i2v()["10"]["inputs"] | {"negative": ["17", 1]}))}),
     "Input negative of .*node 10.* begins with another picture than the positive"),
    ("VAE of another model", wan(**i2v() | {"3": node("VAELoader", vae_name="wan22.safetensors")}),
     "VAE of Wan 2.2 5B, and the model is Wan 2.1"),
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
