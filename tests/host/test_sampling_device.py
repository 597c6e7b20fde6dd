"""What the host's sampling nodes make, a device makes: graphs in ComfyUI and, compiled, in the engine."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from comfyui_pocketvideo.mobile_runtime.engine import RunResult, run_bundle
from comfyui_pocketvideo.pocketvideo.export import compile_workflow
from comfyui_pocketvideo.pocketvideo.export.bundling import export_bundle
from comfyui_pocketvideo.pocketvideo.export.modelfile import read_geometry
from comfyui_pocketvideo.pocketvideo.models import save_model
from comfyui_pocketvideo.pocketvideo.training.fewstep.card import save_student
from PIL import Image

from host.client import ComfyClient
from host.graphs import FRAMES, LATENT, LOADER, SAMPLED, SAVE, image_to_video, node, text_to_video
from host.pocket import psnr, read_frames
from host.server import ComfyServer
from unit.export.conftest import tiny_model

JSON = dict[str, Any]
MODEL = "sampling.safetensors"
STUDENT = "sampling_few_step.safetensors"
CARD = {"sigmas": {"4": [1.0, 0.92, 0.76, 0.52, 0.0]}, "sampling": "renoise", "steps": 4, "guidance": 1.0}
PHOTO = "sampling-photo.png"
SECOND = "50"
PARTS = {"noise": "40", "guider": "41", "sampler": "42", "sigmas": "43"}


class Desk:
    """The host's folders, for the compiler."""

    def __init__(self, host: ComfyServer) -> None:
        self.models, self.images = host.models / "pocketvideo", host.input

    def model(self, name: str) -> Any:
        return read_geometry(self.models / name)

    def image(self, name: str) -> Path:
        return self.images / name


@pytest.fixture(scope="module")
def desk(host: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A tiny model of the real classes and a photo, where the host finds them."""
    path = host.models / "pocketvideo" / MODEL
    path.parent.mkdir(parents=True, exist_ok=True)
    model = tiny_model()
    save_model(path, model)
    generator = torch.Generator().manual_seed(5)
    changed = {
        name: value + 0.05 * torch.randn(value.shape, generator=generator)
        for name, value in model.denoiser.state_dict().items()
    }
    save_student(path.with_name(STUDENT), changed, model.config, path, CARD)
    pixels = torch.randint(0, 256, (70, 110, 3), generator=torch.Generator().manual_seed(1))
    # Large patches, so that the encoded photo is more than noise.
    large = np.kron(pixels[::14, ::22].numpy().astype(np.uint8), np.ones((14, 22, 1), np.uint8))
    file = tmp_path_factory.mktemp("photo") / PHOTO
    Image.fromarray(large).save(file)
    host.client().upload_image(file)
    return Desk(host)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The networks are exported once for all graphs."""
    return tmp_path_factory.mktemp("cache")


def advanced(graph: JSON, key: str, **widgets: Any) -> None:
    """A KSamplerAdvanced with the settings of the graph's sampler and these."""
    inputs = {
        name: value for name, value in graph[SAMPLED]["inputs"].items() if name not in ("seed", "denoise")
    }
    inputs |= {"noise_seed": 7, "add_noise": "enable", "start_at_step": 0, "end_at_step": 10000}
    graph[key] = node("KSamplerAdvanced", **inputs | {"return_with_leftover_noise": "disable"} | widgets)


def custom(graph: JSON, sampler: str, sigmas: JSON, key: str = SAMPLED, **links: Any) -> None:
    """SamplerCustomAdvanced and its parts in the place of the graph's sampler, or after it."""
    inputs = graph[SAMPLED]["inputs"]
    if PARTS["guider"] not in graph:
        graph |= {
            PARTS["noise"]: node("RandomNoise", noise_seed=7),
            PARTS["guider"]: node(
                "CFGGuider", cfg=3.0, **{name: inputs[name] for name in ("model", "positive", "negative")}
            ),
            PARTS["sampler"]: node("KSamplerSelect", sampler_name=sampler),
            PARTS["sigmas"]: sigmas,
        }
    wanted = {name: [part, 0] for name, part in PARTS.items()} | {"latent_image": inputs["latent_image"]}
    graph[key] = node("SamplerCustomAdvanced", **wanted | links)


def ends_in(graph: JSON, sampled: str, slot: int = 0) -> JSON:
    graph[FRAMES]["inputs"]["samples"] = [sampled, slot]
    return graph


def text(**options: Any) -> JSON:
    return text_to_video("sampling", model=MODEL, **{"steps": 6, "side": 96, **options})


def leftover_noise() -> JSON:
    graph = text()
    graph[SAMPLED]["inputs"]["sampler_name"] = "dpmpp_2m"
    advanced(graph, SECOND, latent_image=[SAMPLED, 0], start_at_step=3, add_noise="disable")
    advanced(graph, SAMPLED, end_at_step=3, return_with_leftover_noise="enable")
    return ends_in(graph, SECOND)


def split_with_a_first_frame() -> JSON:
    graph = image_to_video("sampling", PHOTO, model=MODEL, side=96)
    scheduler = node("BasicScheduler", model=[LOADER, 0], scheduler="beta", steps=6, denoise=1.0)
    custom(graph, "heun", scheduler)
    graph["44"] = node("SplitSigmas", sigmas=[PARTS["sigmas"], 0], step=2)
    graph["45"] = node("DisableNoise")
    graph[SAMPLED]["inputs"]["sigmas"] = ["44", 0]
    second = {"noise": ["45", 0], "sigmas": ["44", 1], "latent_image": [SAMPLED, 0]}
    graph[SECOND] = node("SamplerCustomAdvanced", **graph[SAMPLED]["inputs"] | second)
    return ends_in(graph, SECOND, 1)


def refined() -> JSON:
    graph = text()
    again = {"seed": 8, "denoise": 0.5, "latent_image": [SAMPLED, 0], "sampler_name": "uni_pc"}
    graph[SECOND] = node("KSampler", **graph[SAMPLED]["inputs"] | again)
    return ends_in(graph, SECOND)


def redrawn_photo() -> JSON:
    graph = text()
    graph |= {
        "10": node("LoadImage", image=PHOTO),
        "11": node(
            "ImageScale", image=["10", 0], upscale_method="bilinear", width=96, height=64, crop="center"
        ),
        "12": node("VAEEncode", pixels=["11", 0], vae=[LOADER, 2]),
    }
    graph[SAMPLED]["inputs"] |= {"latent_image": ["12", 0], "denoise": 0.6, "sampler_name": "dpm_2"}
    return graph


def shifted(class_type: str) -> JSON:
    graph = text()
    graph["20"] = node(class_type, model=[LOADER, 0], shift=6.0)
    graph[SAMPLED]["inputs"] |= {"model": ["20", 0], "sampler_name": "res_multistep", "scheduler": "normal"}
    return graph


def zeroed_and_tiled() -> JSON:
    graph = text(side=128)
    scheduler = node(
        "LTXVScheduler",
        steps=6,
        max_shift=2.05,
        base_shift=0.95,
        stretch=True,
        terminal=0.1,
        latent=[LATENT, 0],
    )
    custom(graph, "uni_pc_bh2", scheduler)
    graph["3"] = node("ConditioningZeroOut", conditioning=["2", 0])
    tiles = {"tile_size": 64, "overlap": 32, "temporal_size": 8, "temporal_overlap": 4}
    graph[FRAMES] = node("VAEDecodeTiled", **graph[FRAMES]["inputs"] | tiles)
    return graph


def written_out() -> JSON:
    graph = text()
    custom(graph, "gradient_estimation", node("ManualSigmas", sigmas="1., 0.97, 0.9, .7, 0.4, 0.0"))
    return graph


def two_models() -> JSON:
    """First steps guided by the teacher, last ones by its student; each gives text or VAE to both."""
    graph = text()
    custom(
        graph, "euler", node("BasicScheduler", model=[LOADER, 0], scheduler="simple", steps=6, denoise=1.0)
    )
    graph["44"] = node("PocketVideoModelLoader", model_name=STUDENT)
    card = {"student": "as the model says", "student.steps": 4}
    graph["45"] = node("PocketVideoFewStepSchedule", model=["44", 0], **card)
    graph["46"] = node("PocketVideoHighLowSplit", high=[PARTS["sigmas"], 0], low=["45", 0], boundary=0.8)
    graph[SAMPLED]["inputs"]["sigmas"] = ["46", 0]
    graph["47"] = node("BasicGuider", model=["44", 0], conditioning=["2", 0])
    graph["48"] = node("PocketVideoFewStepSampler", sampling="as the model says", model=["44", 0])
    graph["49"] = node("DisableNoise")
    links = {"noise": ["49", 0], "guider": ["47", 0], "sampler": ["48", 0], "sigmas": ["46", 1]}
    graph[SECOND] = node("SamplerCustomAdvanced", **links, latent_image=[SAMPLED, 0])
    graph[FRAMES]["inputs"]["vae"] = ["44", 2]
    return ends_in(graph, SECOND)


def merged(graph: JSON, **mode: Any) -> JSON:
    """Tokens merge inside a window of the schedule, whose shift a later node changes."""
    settings = {"start_percent": 0.1, "end_percent": 0.8, "keep_first_frame": False}
    graph["21"] = node("PocketVideoTemporalTokenMerge", model=[LOADER, 0], **mode, **settings)
    graph["22"] = node("ModelSamplingAuraFlow", model=["21", 0], shift=2.0)
    graph[SAMPLED]["inputs"]["model"] = ["22", 0]
    return graph


def merged_by_likeness() -> JSON:
    mode = {"mode": "similar", "mode.threshold": -1.0, "mode.share": 0.7}
    return merged(image_to_video("sampling", PHOTO, model=MODEL, side=96), **mode)


GRAPHS: dict[str, Callable[[], JSON]] = {
    "leftover noise": leftover_noise,
    "split with a first frame": split_with_a_first_frame,
    "refined": refined,
    "redrawn photo": redrawn_photo,
    "ModelSamplingSD3": lambda: shifted("ModelSamplingSD3"),
    "ModelSamplingAuraFlow": lambda: shifted("ModelSamplingAuraFlow"),
    "zeroed and tiled": zeroed_and_tiled,
    "written-out sigmas": written_out,
    "a teacher and its student": two_models,
    "merged frame pairs": lambda: merged(text(), mode="pairs"),
    "merged by likeness": merged_by_likeness,
}


def on_the_desk(client: ComfyClient, graph: JSON) -> np.ndarray[Any, Any]:
    kept = {key: value for key, value in graph.items() if key not in ("7", SAVE)}
    saved = {"62": node("SaveImage", images=[FRAMES, 0], filename_prefix="sampling/frame")}
    return read_frames(client, client.run({**kept, **saved}).require_success().node_files("62"))


def on_the_device(graph: JSON, desk: Desk, cache: Path, folder: Path) -> RunResult:
    plan = compile_workflow(copy.deepcopy(graph), None, desk)
    bundle = export_bundle(plan, desk.models / MODEL, folder / "bundle", cache_dir=cache)
    return run_bundle(bundle, {}, threads=2, output_dir=folder)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_device_makes_the_desks_frames(
    client: ComfyClient, desk: Desk, cache: Path, tmp_path: Path, name: str
) -> None:
    graph = GRAPHS[name]()
    ours = on_the_desk(client, graph)
    theirs = on_the_device(graph, desk, cache, tmp_path).frames
    assert ours.shape == theirs.shape
    assert ours.std() > 5, "a constant video would prove nothing"
    assert psnr(ours, theirs) >= 45


def test_an_animated_webp_is_the_hosts(client: ComfyClient, desk: Desk, cache: Path, tmp_path: Path) -> None:
    graph = {key: value for key, value in text().items() if key != "7"}
    widgets = {"filename_prefix": "sampling/animation", "fps": 7.0, "lossless": True, "quality": 80}
    graph[SAVE] = node("SaveAnimatedWEBP", images=[FRAMES, 0], method="default", **widgets)
    (saved,) = client.run(graph).require_success().node_files(SAVE)
    (tmp_path / "desk.webp").write_bytes(client.view(saved))
    made = on_the_device(graph, desk, cache, tmp_path)
    with Image.open(tmp_path / "desk.webp") as ours, Image.open(made.video_path) as theirs:
        assert getattr(ours, "n_frames", 1) == getattr(theirs, "n_frames", 1) == 9
        for index in range(9):
            ours.seek(index)
            theirs.seek(index)
            first, second = (np.asarray(image.convert("RGB")) for image in (ours, theirs))
            assert ours.info["duration"] == theirs.info["duration"] == 142
            assert psnr(first, second) >= 45
        assert ours.info["loop"] == theirs.info["loop"]
