"""LTX-Video and Wan from ComfyUI's own loaders: a bundle makes on a device the video that ComfyUI makes."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle, self_test
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow
from comfyui_pocketvideo.pocketvideo.export.__main__ import FolderLookups
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from PIL import Image

from demo.device import ReferenceDevice, forget_all
from host.client import ComfyClient
from host.families import install
from host.graphs import JSON, node
from host.pocket import psnr, read_frames
from host.server import ComfyServer, locate

PHOTO = "published.png"


class Desk(FolderLookups):
    """The host's models folder, and the tokenizers in its sources."""

    def tokenizer(self, family: str) -> Path | None:
        named = locate().comfyui / "comfy" / "text_encoders" / "t5_tokenizer" / "tokenizer.json"
        return named if family == "ltxv" else None


@pytest.fixture
def desk(host: ComfyServer) -> Desk:
    install(host)
    pixels = np.random.default_rng(4).integers(0, 255, (150, 170, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(host.input / PHOTO)
    return Desk(None, host.input, host.base)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept exports: both videos of LTX-Video are made by the same networks."""
    return Path(tmp_path_factory.mktemp("published-cache"))


def prompts(family: str, name: str) -> JSON:
    return {
        "1": node("CLIPLoader", clip_name=f"{name}.safetensors", type=family, device="default"),
        "2": node("CLIPTextEncode", clip=["1", 0], text="a red circle moves left"),
        "3": node("CLIPTextEncode", clip=["1", 0], text="blue"),
    }


def video(samples: list[object], vae: str) -> JSON:
    return {
        "30": node("VAELoader", vae_name=f"{vae}.safetensors"),
        "31": node("VAEDecode", samples=samples, vae=["30", 0]),
        "32": node("CreateVideo", images=["31", 0], fps=24.0),
        "33": node("SaveVideo", video=["32", 0], filename_prefix="video", format="auto", codec="auto"),
    }


def ltxv(with_photo: bool) -> JSON:
    """LTX-Video with its own scheduler and another frame rate than its own, from text or from a photo."""
    graph = prompts("ltxv", "t5") | {
        "4": node("UNETLoader", unet_name="ltxv.safetensors", weight_dtype="default"),
        "5": node("EmptyLTXVLatentVideo", width=128, height=96, length=17, batch_size=1),
        "6": node("LTXVConditioning", positive=["2", 0], negative=["3", 0], frame_rate=16.0),
        "7": node(
            "LTXVScheduler",
            steps=4,
            max_shift=2.05,
            base_shift=0.95,
            stretch=True,
            terminal=0.1,
            latent=["5", 0],
        ),
        "8": node("KSamplerSelect", sampler_name="euler"),
        "9": node(
            "SamplerCustom",
            model=["4", 0],
            positive=["6", 0],
            negative=["6", 1],
            sampler=["8", 0],
            sigmas=["7", 0],
            latent_image=["5", 0],
            add_noise=True,
            noise_seed=5,
            cfg=3.0,
        ),
    }
    if with_photo:
        size = graph["5"]["inputs"]
        graph["10"] = node("LoadImage", image=PHOTO)
        graph["5"] = node(
            "LTXVImgToVideo",
            positive=["2", 0],
            negative=["3", 0],
            vae=["30", 0],
            image=["10", 0],
            strength=1.0,
            **size,
        )
        graph["6"]["inputs"] |= {"positive": ["5", 0], "negative": ["5", 1]}
        graph["7"]["inputs"]["latent"] = ["5", 2]
        graph["9"]["inputs"]["latent_image"] = ["5", 2]
    return graph | video(["9", 0], "ltxv")


def wan() -> JSON:
    """Wan with another shift and a LoRA."""
    return (
        prompts("wan", "umt5")
        | {
            "4": node("UNETLoader", unet_name="wan21_t2v.safetensors", weight_dtype="default"),
            "5": node(
                "LoraLoaderModelOnly", model=["4", 0], lora_name="wan21.safetensors", strength_model=0.6
            ),
            "6": node("ModelSamplingSD3", model=["5", 0], shift=5.0),
            "7": node("EmptyHunyuanLatentVideo", width=80, height=64, length=9, batch_size=1),
            "8": node(
                "KSampler",
                model=["6", 0],
                positive=["2", 0],
                negative=["3", 0],
                latent_image=["7", 0],
                seed=8,
                steps=3,
                cfg=3.0,
                sampler_name="euler",
                scheduler="simple",
                denoise=1.0,
            ),
        }
        | video(["8", 0], "wan21")
    )


def wan_experts() -> JSON:
    """Two networks with one schedule: the file, and the file with a LoRA from the second step on."""
    drawn = {"sampler": ["8", 0], "positive": ["2", 0], "negative": ["3", 0], "cfg": 3.0}
    return (
        prompts("wan", "umt5")
        | {
            "4": node("UNETLoader", unet_name="wan21_t2v.safetensors", weight_dtype="default"),
            "5": node(
                "LoraLoaderModelOnly", model=["4", 0], lora_name="wan21.safetensors", strength_model=0.8
            ),
            "6": node("BasicScheduler", model=["4", 0], scheduler="simple", steps=4, denoise=1.0),
            "7": node("EmptyHunyuanLatentVideo", width=64, height=80, length=9, batch_size=1),
            "8": node("KSamplerSelect", sampler_name="euler"),
            "9": node("SplitSigmas", sigmas=["6", 0], step=2),
            "10": node(
                "SamplerCustom",
                model=["4", 0],
                sigmas=["9", 0],
                latent_image=["7", 0],
                add_noise=True,
                noise_seed=3,
                **drawn,
            ),
            "11": node(
                "SamplerCustom",
                model=["5", 0],
                sigmas=["9", 1],
                latent_image=["10", 0],
                add_noise=False,
                noise_seed=0,
                **drawn,
            ),
        }
        | video(["11", 0], "wan21")
    )


def wan_picture() -> JSON:
    """Wan 2.2 from a picture as its own template does it: one expert for much noise, one for little."""
    sampled = {"positive": ["6", 0], "negative": ["6", 1], "cfg": 3.0, "steps": 4, "noise_seed": 9}
    sampled |= {"sampler_name": "euler", "scheduler": "simple"}
    graph = prompts("wan", "umt5")
    for key, name in (("4", "high"), ("5", "low")):
        graph[key] = node("UNETLoader", unet_name=f"wan22_i2v_{name}.safetensors", weight_dtype="default")
        graph[f"1{key}"] = node("ModelSamplingSD3", model=[key, 0], shift=5.0)
    graph |= {
        "10": node("LoadImage", image=PHOTO),
        "6": node(
            "WanImageToVideo",
            positive=["2", 0],
            negative=["3", 0],
            vae=["30", 0],
            start_image=["10", 0],
            width=80,
            height=64,
            length=13,
            batch_size=1,
        ),
        "20": node(
            "KSamplerAdvanced",
            model=["14", 0],
            latent_image=["6", 2],
            add_noise="enable",
            start_at_step=0,
            end_at_step=2,
            return_with_leftover_noise="enable",
            **sampled,
        ),
        "21": node(
            "KSamplerAdvanced",
            model=["15", 0],
            latent_image=["20", 0],
            add_noise="disable",
            start_at_step=2,
            end_at_step=10000,
            return_with_leftover_noise="disable",
            **sampled,
        ),
    }
    return graph | video(["21", 0], "wan21")


GRAPHS = {"ltxv": lambda: ltxv(False), "ltxv_photo": lambda: ltxv(True), "wan": wan}
GRAPHS |= {"wan_experts": wan_experts, "wan_picture": wan_picture}


@pytest.mark.parametrize("name", list(GRAPHS))
def test_a_device_makes_the_hosts_video(
    host: ComfyServer, client: ComfyClient, desk: Desk, cache: Path, tmp_path: Path, name: str
) -> None:
    graph = GRAPHS[name]()
    expected = hosts_frames(client, graph, name)

    plan = compile_workflow(graph, None, desk)
    bundle = export_bundle(plan, None, tmp_path / "bundle", cache_dir=cache)
    bundle.verify()
    assert all(result.psnr > 60 for result in self_test(bundle, threads=2).values())
    found = run_bundle(bundle, output_dir=tmp_path / "out", threads=2)
    assert found.frames.shape == expected.shape
    assert expected.std() > 5
    assert psnr(found.frames, expected) >= 40
    if name in ("wan_experts", "wan_picture"):
        first, second = (op["component"] for op in plan.ops if op["op"] == "denoise")
        assert (first, second) == ("denoiser", "denoiser_2")
        # Both have the same layers, so the same graphs; and every part's weights are its own.
        one, two = (bundle.manifest["components"][part] for part in (first, second))
        files = {file["path"]: file["sha256"] for file in bundle.manifest["files"]}
        assert [files[path] for path in one["graphs"].values()] == [
            files[path] for path in two["graphs"].values()
        ]
        assert files[one["stages"][1]["weights"]] != files[two["stages"][1]["weights"]]
    if name == "wan_picture":
        assert found.frames.shape == (13, 64, 80, 3)
        other = np.random.default_rng(5).integers(0, 255, (64, 80, 3), dtype=np.uint8)
        picture = io.BytesIO()
        Image.fromarray(other).save(picture, format="PNG")
        another = run_bundle(bundle, {"photo": picture.getvalue()}, output_dir=tmp_path / "b", threads=2)
        assert psnr(another.frames, found.frames) < 40
    if name == "wan":
        assert {"vae_decoder", "vae_decoder_next"} < set(bundle.manifest["components"])
        fixed = export_bundle(plan, None, tmp_path / "fixed", cache_dir=cache, prompts="fixed")
        assert "text_encoder" not in fixed.manifest["components"]
        again = run_bundle(fixed, output_dir=tmp_path / "again", threads=2)
        assert psnr(again.frames, found.frames) >= 60


def hosts_frames(client: ComfyClient, graph: JSON, name: str) -> np.ndarray:
    """The video that the host makes, frame by frame; its own loader takes no text encoder this small."""
    made = copy.deepcopy(graph)
    made["1"] = node("FamilyTinyText", type=graph["1"]["inputs"]["type"])
    del made["32"], made["33"]
    made["34"] = node("SaveImage", images=["31", 0], filename_prefix=f"published-{name}")
    return read_frames(client, client.run(made).require_success().node_files("34"))


def test_two_experts_and_a_picture_run_on_a_paired_device(
    host: ComfyServer, client: ComfyClient, desk: Desk, tmp_path: Path
) -> None:
    """Through the desk, over the bridge, on the agent in its own process."""
    graph = wan_picture()
    running = {key: value for key, value in graph.items() if key not in ("32", "33")}
    chosen = {"device": "the paired device", "fps": 24.0, "filename_prefix": "published/device"}
    running["60"] = node("PocketVideoRunOnDevice", images=["31", 0], **chosen)
    running["61"] = node("SaveImage", images=["60", 0], filename_prefix="published-device")
    forget_all(client)
    try:
        with ReferenceDevice(tmp_path / "home", tmp_path / "device.log") as device:
            device.pair(client, lambda: None)
            device.run()
            run = client.run(running, timeout=900).require_success()
    finally:
        forget_all(client)
    found = read_frames(client, run.node_files("61"))
    expected = hosts_frames(client, graph, "paired")
    assert found.shape == expected.shape == (13, 64, 80, 3)
    assert psnr(found, expected) >= 40


def test_a_model_without_an_adapter_is_named(desk: Desk) -> None:
    graph = wan()
    graph["4"]["inputs"]["unet_name"] = "hunyuan_video.safetensors"
    with pytest.raises(
        WorkflowError, match=r"node 4, UNETLoader.* no adapter; .* LTX-Video, Wan 2\.1 and Wan 2\.2 5B"
    ):
        compile_workflow(graph, None, desk)
