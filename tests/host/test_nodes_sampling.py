"""The host's own nodes on our MODEL, CLIP and VAE."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from host.client import ComfyClient, PromptRejected
from host.events import Event
from host.graphs import (
    FRAMES,
    LATENT,
    LOADER,
    SAMPLED,
    SAVE,
    image_to_video,
    node,
    only_latent,
    save_latent,
    text_to_video,
)
from host.pocket import install_random_model, latent_of, message, random_model, read_latent, read_video
from host.server import ComfyServer

JSON = dict[str, Any]
SampleGraph = Callable[[JSON, str], torch.Tensor]


@pytest.fixture(autouse=True)
def model(host: ComfyServer) -> Path:
    return install_random_model(host)


@pytest.fixture
def sample(host: ComfyServer, client: ComfyClient) -> SampleGraph:
    """Runs a graph to its latent."""
    return lambda graph, prefix: latent_of(host, client, graph, prefix)


@pytest.fixture(scope="module")
def photo(host: ComfyServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A photo in the input folder, larger than the video and not square."""
    path = tmp_path_factory.mktemp("photo") / "nodes-photo.png"
    ramp = np.linspace(0, 255, 96, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, ::-1][:, :80], np.uint8(90)), axis=-1)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)
    return host.client().upload_image(path)


def test_text_becomes_a_video_with_previews_and_progress(host: ComfyServer, client: ComfyClient) -> None:
    run = client.run(text_to_video("nodes/t2v", seed=101)).require_success()

    (saved,) = run.node_files(SAVE)
    assert read_video(client.view(saved)).shape == (9, 64, 64, 3)
    bar = [event.data for event in run.of_type("progress") if event.data["node"] == SAMPLED]
    assert bar[-1]["value"] == bar[-1]["max"] == 3
    previews = run.of_type("preview")
    assert len(previews) >= 3
    colours = np.asarray(Image.open(io.BytesIO(previews[-1].payload)).convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 1


def test_the_latent_is_that_of_the_reference_sampler(sample: SampleGraph) -> None:
    """Euler over ComfyUI's `simple` schedule with guidance, written out with the library's networks alone."""
    steps, guidance, seed = 4, 3.0, 12345
    latent = sample(text_to_video("", seed=seed, steps=steps), "reference")

    assert latent.shape == (1, 24, 3, 2, 2)
    reference = reference_sample(steps, guidance, seed, tuple(latent.shape))
    assert torch.allclose(latent, reference, atol=2e-4), (latent - reference).abs().max()


def reference_sample(steps: int, guidance: float, seed: int, shape: tuple[int, ...]) -> torch.Tensor:
    model = random_model()
    for module in (model.denoiser, model.text_encoder):
        module.load_state_dict({k: v.half().float() for k, v in module.state_dict().items()})
    shift = model.defaults["shift"]
    grid = torch.arange(1, 1001) / 1000
    grid = shift * grid / (1 + (shift - 1) * grid)
    sigmas = [float(grid[-(1 + int(i * 1000 / steps))]) for i in range(steps)] + [0.0]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    context, mask = model.encode_text(["a red circle moves left", ""])
    motion = torch.full((2,), float(model.defaults["motion"]))
    for sigma, following in itertools.pairwise(sigmas):
        time = torch.full((2,), sigma)
        wanted, unwanted = model.denoiser(x.repeat(2, 1, 1, 1, 1), time, context, mask, motion).split(1)
        x = x + (unwanted + guidance * (wanted - unwanted)) * (following - sigma)
    return x


def test_the_custom_sampler_gives_the_same_latent(
    host: ComfyServer, client: ComfyClient, sample: SampleGraph
) -> None:
    plain = sample(text_to_video("", seed=5), "plain")

    graph = text_to_video("", seed=5)
    inputs = graph[SAMPLED]["inputs"]
    graph |= {
        "30": node("RandomNoise", noise_seed=5),
        "31": node("CFGGuider", model=[LOADER, 0], positive=["2", 0], negative=["3", 0], cfg=inputs["cfg"]),
        "32": node("KSamplerSelect", sampler_name="euler"),
        "33": node("BasicScheduler", model=[LOADER, 0], scheduler="simple", steps=3, denoise=1.0),
        SAMPLED: node(
            "SamplerCustomAdvanced",
            noise=["30", 0],
            guider=["31", 0],
            sampler=["32", 0],
            sigmas=["33", 0],
            latent_image=[LATENT, 0],
        ),
    }
    assert torch.equal(sample(graph, "custom"), plain)


def test_a_prompt_and_its_guidance_change_the_video(sample: SampleGraph) -> None:
    plain = sample(text_to_video("", seed=6), "words")
    graph = text_to_video("", seed=6)
    graph["2"]["inputs"]["text"] = "a blue star grows"
    assert not torch.equal(sample(graph, "other-words"), plain)
    graph = text_to_video("", seed=6)
    graph[SAMPLED]["inputs"]["cfg"] = 1.0
    assert not torch.equal(sample(graph, "no-guidance"), plain)


def test_parentheses_are_words_as_on_a_device(sample: SampleGraph) -> None:
    """ComfyUI's weights would make a prompt mean something else here than there."""
    latents = []
    for text in ("a red circle", "a (red:1.4) circle", "a (red:0.4) circle"):
        graph = text_to_video("", seed=6)
        graph["2"]["inputs"]["text"] = text
        latents.append(sample(graph, "weights"))
    assert not torch.equal(latents[0], latents[1])
    tokens = random_model().tokenize(["a (red:1.4) circle", "a red circle"])[1].sum(dim=1)
    assert tokens[0] > tokens[1]


def test_prompts_can_be_joined_and_averaged(sample: SampleGraph) -> None:
    """Concat doubles the text's length; padding in its middle must stay unheard."""
    graph = text_to_video("", seed=8)
    graph["40"] = node("ConditioningConcat", conditioning_to=["2", 0], conditioning_from=["2", 0])
    graph[SAMPLED]["inputs"]["positive"] = ["40", 0]
    joined = sample(graph, "joined")
    # Attending twice to the same words is attending once, if padding counts for nothing.
    assert torch.allclose(joined, sample(text_to_video("", seed=8), "once"), atol=1e-4)

    graph["40"] = node(
        "ConditioningAverage",
        conditioning_to=["2", 0],
        conditioning_from=["3", 0],
        conditioning_to_strength=0.5,
    )
    assert torch.isfinite(sample(graph, "averaged")).all()


def test_two_videos_at_once(client: ComfyClient) -> None:
    graph = text_to_video("nodes/batch", seed=9)
    graph[LATENT]["inputs"]["batch_size"] = 2
    run = client.run(graph).require_success()
    (saved,) = run.node_files(SAVE)
    assert read_video(client.view(saved)).shape == (18, 64, 64, 3)


def test_frames_encode_and_decode(host: ComfyServer, client: ComfyClient) -> None:
    """VAE Encode cuts off the frames that do not fit: 10 become 9."""
    graph = {
        LOADER: node("PocketVideoModelLoader", model_name="random.safetensors"),
        "2": node("EmptyImage", width=70, height=64, batch_size=10, color=0x3366CC),
        "3": node("VAEEncode", pixels=["2", 0], vae=[LOADER, 2]),
        **save_latent("latents/encoded", ("3", 0)),
    }
    latent = read_latent(host, client.run(graph).require_success())
    assert latent.shape == (1, 24, 3, 2, 2)

    model = random_model()
    model.vae.load_state_dict(
        {k: v.half().float() if "latents" not in k else v for k, v in model.vae.state_dict().items()}
    )
    pixels = torch.tensor([0x33, 0x66, 0xCC]).view(1, 3, 1, 1, 1).expand(1, 3, 9, 64, 64) / 255
    assert torch.allclose(latent, model.vae.encode(pixels * 2 - 1), atol=1e-4)


def test_tiled_decoding_gives_a_video_of_the_same_size(client: ComfyClient) -> None:
    graph = text_to_video("nodes/tiled", seed=10, side=128)
    graph[FRAMES] = node(
        "VAEDecodeTiled",
        samples=[SAMPLED, 0],
        vae=[LOADER, 2],
        tile_size=64,
        overlap=32,
        temporal_size=8,
        temporal_overlap=4,
    )
    run = client.run(graph).require_success()
    (saved,) = run.node_files(SAVE)
    assert read_video(client.view(saved)).shape == (9, 128, 128, 3)


def test_a_lora_changes_the_video_and_leaves_no_trace(host: ComfyServer, sample: SampleGraph) -> None:
    folder = host.models / "loras"
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(3)
    base = "diffusion_model.blocks.0.attn.qkv"
    width = random_model().denoiser.config.width
    save_file(
        {
            f"{base}.lora_A.weight": torch.randn((4, width), generator=generator),
            f"{base}.lora_B.weight": torch.randn((3 * width, 4), generator=generator),
        },
        folder / "nodes-lora.safetensors",
    )

    def with_lora(strength: float) -> JSON:
        graph = text_to_video("", seed=11)
        graph["50"] = node(
            "LoraLoaderModelOnly",
            model=[LOADER, 0],
            lora_name="nodes-lora.safetensors",
            strength_model=strength,
        )
        graph[SAMPLED]["inputs"]["model"] = ["50", 0]
        return graph

    plain = sample(text_to_video("", seed=11), "no-lora")
    strong = sample(with_lora(1.0), "lora")
    assert not torch.allclose(strong, plain, atol=1e-3)
    assert not torch.allclose(sample(with_lora(0.5), "half-lora"), strong, atol=1e-3)
    assert torch.equal(sample(with_lora(0.0), "zero-lora"), plain)
    assert torch.equal(sample(text_to_video("", seed=11), "lora-removed"), plain)


def test_a_model_comes_back_from_unloading_unchanged(client: ComfyClient, sample: SampleGraph) -> None:
    before = sample(text_to_video("", seed=12), "loaded")
    client.free()
    assert torch.equal(sample(text_to_video("", seed=12), "reloaded"), before)


def test_stopping_ends_a_run_in_its_middle(client: ComfyClient) -> None:
    graph = text_to_video("nodes/stopped", seed=13, steps=1000)
    prompts: list[str] = []

    def stop(event: Event) -> None:
        if event.type == "progress" and not prompts:
            prompts.append(event.data["prompt_id"])
            client.interrupt(prompts[0])

    run = client.run(graph, on_event=stop)
    assert run.status == "interrupted"
    assert run.of_type("progress")[-1].data["value"] < 1000
    client.run(text_to_video("nodes/after-stop", seed=13)).require_success()


def test_an_image_becomes_the_first_frame(host: ComfyServer, client: ComfyClient, photo: str) -> None:
    run = client.run(only_latent(image_to_video("", photo, seed=14), "latents/i2v")).require_success()
    latent = read_latent(host, run)
    graph = {
        LOADER: node("PocketVideoModelLoader", model_name="random.safetensors"),
        "10": node("LoadImage", image=photo),
        "11": node(
            "ImageScale", image=["10", 0], upscale_method="bilinear", width=64, height=64, crop="center"
        ),
        "3": node("VAEEncode", pixels=["11", 0], vae=[LOADER, 2]),
        **save_latent("latents/first", ("3", 0)),
    }
    first = read_latent(host, client.run(graph).require_success())

    assert latent.shape == (1, 24, 3, 2, 2)
    assert torch.allclose(latent[:, :, :1], first, atol=1e-5)
    assert not torch.allclose(latent[:, :, 1:2], first, atol=1e-2)


def test_the_first_frame_and_the_motion_score_steer_the_rest(sample: SampleGraph, photo: str) -> None:
    given = sample(image_to_video("", photo, seed=15), "given")
    free = sample(text_to_video("", seed=15), "free")
    assert not torch.allclose(given[:, :, 1:], free[:, :, 1:], atol=1e-4)

    faster = image_to_video("", photo, seed=15)
    faster[LATENT]["inputs"]["motion"] = 8.0
    moved = sample(faster, "faster")
    assert torch.equal(moved[:, :, :1], given[:, :, :1])
    assert not torch.allclose(moved[:, :, 1:], given[:, :, 1:], atol=1e-4)


def test_a_size_that_does_not_fit_is_one_sentence(client: ComfyClient, photo: str) -> None:
    graph = text_to_video("nodes/odd")
    graph[LATENT]["inputs"]["width"] = 100
    assert message(client.run(graph)) == "Width 100 is not a multiple of 32: use 96 or 128."
    graph = image_to_video("nodes/odd", photo)
    graph[LATENT]["inputs"]["length"] = 10
    assert message(client.run(graph)) == "Length 10 is not a multiple of 4 plus 1: use 9 or 13."


def test_a_linked_vae_decides_what_sizes_fit(client: ComfyClient) -> None:
    graph = text_to_video("nodes/linked")
    graph[LATENT]["inputs"] |= {"vae": [LOADER, 2], "height": 80}
    assert message(client.run(graph)) == "Height 80 is not a multiple of 32: use 64 or 96."
    graph[LATENT]["inputs"]["height"] = 96
    run = client.run(graph).require_success()
    (saved,) = run.node_files(SAVE)
    assert read_video(client.view(saved)).shape == (9, 96, 64, 3)


@pytest.mark.parametrize("name", ["../../secret.safetensors", "/etc/passwd", "missing.safetensors"])
def test_t07_a_model_outside_the_list_is_refused(client: ComfyClient, name: str) -> None:
    with pytest.raises(PromptRejected) as refused:
        client.queue(text_to_video("nodes/traversal", model=name))
    (error,) = refused.value.node_errors[LOADER]["errors"]
    assert error["type"] == "value_not_in_list"


def test_a_file_that_is_no_model_is_one_sentence(host: ComfyServer, client: ComfyClient) -> None:
    folder = host.models / "pocketvideo"
    save_file({"x": torch.zeros(1)}, folder / "nodes-other.safetensors")
    (folder / "nodes-broken.safetensors").write_bytes(b"not a model")
    text = message(client.run(text_to_video("nodes/other", model="nodes-other.safetensors")))
    assert text.startswith("'nodes-other.safetensors' has no 'pocketvideo' metadata")
    text = message(client.run(text_to_video("nodes/broken", model="nodes-broken.safetensors")))
    assert text.startswith("'nodes-broken.safetensors' cannot be read as safetensors")


def test_a_hub_download_that_cannot_happen_is_one_sentence(client: ComfyClient) -> None:
    """The test host is offline; what a workflow names is checked before that."""
    graph = text_to_video("nodes/hub")
    hub = {"source": "Hugging Face Hub", "source.repository": "someone/model", "source.file": "x.safetensors"}
    graph[LOADER]["inputs"] |= {**hub, "source.revision": "main"}
    assert "is not a pinned revision" in message(client.run(graph))
    graph[LOADER]["inputs"]["source.revision"] = "0" * 40
    text = message(client.run(graph))
    assert text.startswith("x.safetensors of someone/model was not fetched, because")
    assert "\n" not in text
