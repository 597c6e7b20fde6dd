"""LTX-Video and Wan by the command: from a diffusers folder and prompts to a LoRA with its card."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from comfyui_pocketvideo.pocketvideo.few_step import read_card
from comfyui_pocketvideo.pocketvideo.training.fewstep.__main__ import main
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from unit.training.published_case import PROMPTS, SHAPES, write_case

LAYER = {"ltxv": "transformer_blocks.1.attn2.to_out.0", "wan": "blocks.1.cross_attn.o"}


def train(recipe: Path, run: Path, target: Path, *options: str) -> dict[str, torch.Tensor]:
    command = ["--recipe", str(recipe), "--run", str(run), "--output", str(target), "--threads", "1"]
    assert main([*command, *options]) == 0
    return load_file(target)


@pytest.mark.parametrize("family", SHAPES)
def test_a_folder_of_diffusers_and_prompts_become_a_lora(family: str, tmp_path: Path) -> None:
    recipe, target = write_case(family, tmp_path), tmp_path / "made" / "few.safetensors"
    made = train(recipe, tmp_path / "run", target)
    # Four layers of two attentions in two blocks, two factors each, under ComfyUI's names.
    assert len(made) == 4 * 2 * 2 * 2
    assert made[f"diffusion_model.{LAYER[family]}.lora_A.weight"].shape == (2, 48)
    assert all(bool(value.any()) for value in made.values()), "every layer has learnt something"
    with safe_open(target, framework="pt") as file:
        config = json.loads(file.metadata()["pocketvideo"])
    card = read_card(config)
    assert card is not None and card.steps == (1, 2) and card.sampling == "renoise"
    told = config["few_step"]
    assert (told["kind"], told["training"]["steps"], told["guidance"]) == ("lora", 3, 1.0)
    assert told["parent"] == "model" and told["training"]["recipe"]["published"]["family"] == family
    cost = {"steps", "seconds", "processes", "threads", "device", "torch", "recipe"}
    assert cost <= told["training"].keys() and told["training"]["threads"] == 1
    losses = [json.loads(line) for line in (tmp_path / "run" / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in losses] == [1, 2, 3] and "adversarial.critic" in losses[-1]
    # A run that is stopped goes on bit by bit.
    train(recipe, tmp_path / "again", target, "--until", "1")
    again = train(recipe, tmp_path / "again", target)
    assert made.keys() == again.keys()
    for name, value in made.items():
        assert torch.equal(again[name], value), name


def test_real_clips_come_from_a_file_beside_the_prompts(tmp_path: Path) -> None:
    recipe = write_case("wan", tmp_path)
    without = train(recipe, tmp_path / "run", tmp_path / "without.safetensors")
    clips = torch.randn(len(PROMPTS), *SHAPES["wan"], generator=torch.Generator().manual_seed(3))
    save_file({"latents": clips}, tmp_path / "data" / "latents.safetensors")
    settings = json.loads(recipe.read_text())
    settings["draw"]["real"] = "data"
    settings["trajectories"]["given_first_frame"] = 0.5
    recipe.write_text(json.dumps(settings))
    found = train(recipe, tmp_path / "real", tmp_path / "real.safetensors")
    assert any(not torch.equal(found[name], value) for name, value in without.items())
    shard = load_file(tmp_path / "real" / "trajectories" / "000000.safetensors")
    given = shard["free"][:, 0] == 0
    assert bool(given.any())
    torch.testing.assert_close(
        shard["states"][given, -1, :, 0].float(), clips[given, :, 0], atol=5e-3, rtol=5e-3
    )


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    recipe = write_case("wan", tmp_path)
    settings = json.loads(recipe.read_text())

    def refused(**published: object) -> str:
        changed = {**settings, "published": {**settings["published"], **published}}
        recipe.write_text(json.dumps(changed))
        with pytest.raises(ValueError) as error:
            main(["--recipe", str(recipe), "--run", str(tmp_path / "run"), "--stage", "trajectories"])
        return str(error.value)

    assert "There is no family 'sora': choose ltxv or wan" in refused(family="sora")
    assert "put them there, one a line" in refused(data=str(tmp_path / "nowhere"))
    save_file({"latents": torch.zeros(1, *SHAPES["wan"])}, tmp_path / "data" / "latents.safetensors")
    assert "holds 1 clips and prompts.txt 4 prompts" in refused()
    (tmp_path / "data" / "latents.safetensors").unlink()
    settings["draw"]["real"] = "data"
    assert "there are no real clips and no first frames" in refused()
