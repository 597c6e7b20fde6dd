"""Few-step LoRAs of published models: LTX-Video and Wan as diffusers' folders or the Hub have them.

A recipe's section `published` names the family, the model, and a folder with `prompts.txt`, a prompt a line.
The teacher's own trajectories are the data; a file `latents.safetensors` beside the prompts (`latents
[N, C, F, h, w]`, a clip for each, as the model's VAE encodes them and its pipeline scales them) gives real
clips and first frames. What is packed is a LoRA with its card, under the names that ComfyUI's loader knows.
"""

from __future__ import annotations

import importlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...models.checkpoint import METADATA_KEY
from ..latents import LatentSet
from .card import make_card, training_cost
from .drawing import DrawConfig, Source
from .families import FAMILIES, Family
from .run import build_trainer, tuples
from .students import lora_state
from .teacher import Teacher
from .trainer import FewStepTrainer
from .trajectories import Trajectories, cache_trajectories

log = logging.getLogger(__name__)
PROMPTS, LATENTS = "prompts.txt", "latents.safetensors"
# Prompts that the text encoder takes at once.
TOGETHER = 8


@dataclass
class PublishedRun:
    """A recipe for a published model, and the folder of its run."""

    recipe: dict[str, Any]
    directory: Path

    @property
    def section(self) -> dict[str, Any]:
        """What the recipe says of the model and its data."""
        section: dict[str, Any] = self.recipe["published"]
        return section

    @property
    def family(self) -> Family:
        """How its networks are used; raises ValueError with those that are known."""
        name = self.section["family"]
        if name not in FAMILIES:
            raise ValueError(
                f"There is no family '{name}': choose {' or '.join(FAMILIES)} in published.family."
            )
        return FAMILIES[name]

    def trajectories(self) -> tuple[Teacher, LatentSet, Trajectories]:
        """The teacher, its prompts, and its own ways from noise to clip, computed where they are missing."""
        teacher, data = self._teacher(), self._data()
        return teacher, data, cache_trajectories(self.directory, self.recipe, teacher, data)

    def train(self, until: int | None = None) -> FewStepTrainer:
        """Train, or go on, up to the recipe's steps."""
        teacher, data, trajectories = self.trajectories()
        trainer = build_trainer(self.directory, self.recipe, teacher)
        context, mask = teacher.encode(data.captions[: len(trajectories.states)])
        source = Source(data, trajectories, context, mask, trainer.accelerator.device)
        trainer.run(source, DrawConfig(**tuples(self.recipe["draw"])), until=until)
        return trainer

    def pack(self, target: Path) -> Path:
        """Write the averaged LoRA of the last checkpoint in bfloat16, with its card."""
        trainer = build_trainer(self.directory, self.recipe, self._teacher())
        card = make_card(self.recipe, training_cost(self.recipe, trainer), Path(self.section["model"]))
        state = lora_state(trainer.plain, trainer.averaged(), self.family.comfy_name)
        if trainer.accelerator.is_main_process:
            config = {"name": target.stem, "family": self.section["family"], "few_step": card}
            metadata = {METADATA_KEY: json.dumps(config, sort_keys=True), "format": "pt"}
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(".tmp")
            save_file({k: v.to(torch.bfloat16).contiguous() for k, v in state.items()}, temporary, metadata)
            temporary.replace(target)
        trainer.accelerator.wait_for_everyone()
        return target

    def _teacher(self) -> Teacher:
        family, model = self.family, self.section["model"]
        diffusers = importlib.import_module("diffusers")
        network = getattr(diffusers, family.network).from_pretrained(model, subfolder="transformer")
        network.eval().requires_grad_(False)
        # Its text encoder, as its own pipeline uses it, and nothing else of the pipeline.
        pipeline = getattr(diffusers, family.pipeline).from_pretrained(model, transformer=None, vae=None)
        length = int(self.section["max_tokens"])

        @torch.no_grad()
        def encode(captions: list[str]) -> tuple[Tensor, Tensor]:
            parts = [
                family.encode(pipeline, captions[first : first + TOGETHER], length)
                for first in range(0, len(captions), TOGETHER)
            ]
            return torch.cat([c.float() for c, _ in parts]), torch.cat([m for _, m in parts])

        return Teacher(
            network.float(), family.velocity_of, family.blocks_of, family.sizes_of(network), encode
        )

    def _data(self) -> LatentSet:
        folder = Path(self.section["data"])
        try:
            lines = (folder / PROMPTS).read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ValueError(
                f"The prompts {folder / PROMPTS} cannot be read ({error.strerror}): put them there, one a "
                "line, or name their folder in published.data of the recipe."
            ) from error
        captions = [line.strip() for line in lines if line.strip()]
        if (folder / LATENTS).exists():
            latents = load_file(folder / LATENTS)["latents"].float()
        else:
            latents = self._imagined(len(captions))
        if len(latents) != len(captions):
            raise ValueError(
                f"{folder / LATENTS} holds {len(latents)} clips and {PROMPTS} {len(captions)} prompts: give "
                "each clip its prompt."
            )
        return LatentSet(latents, captions, torch.zeros(len(captions)))

    def _imagined(self, count: int) -> Tensor:
        """The size of the clips alone, where there are none."""
        if self.recipe["draw"]["real"] != "teacher" or self.recipe["trajectories"]["given_first_frame"]:
            raise ValueError(
                f"Without {LATENTS} there are no real clips and no first frames: set draw.real to 'teacher' "
                "and trajectories.given_first_frame to 0, or put the clips there."
            )
        return torch.zeros(count, *self.section["latent_shape"])
