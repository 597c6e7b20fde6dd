"""From a recipe to a trained student: builds the networks, the objectives and the loop that it names."""

from __future__ import annotations

import copy
import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...eval.adherence import adherence
from ...eval.sheet import contact_sheet
from ...models.checkpoint import PocketModel, load_model
from ...models.sampling import generate
from ..data.shapes import training_spec
from ..latents import LatentSet, cache_latents
from .card import make_card, save_student, training_cost
from .consistency import Consistency
from .discriminator import Heads, HeadsConfig, block_features
from .drawing import DrawConfig, Source
from .objectives import Adversarial, DistributionMatching, Objective, Regression
from .parent import Velocity, encode_captions, guided
from .students import StudentConfig, make_optimizers, make_student, merged_state, with_lora
from .teacher import Teacher, pocket_teacher
from .trainer import FewStepTrainer, TrainConfig
from .trajectories import Trajectories, cache_trajectories

log = logging.getLogger(__name__)
RECIPES = Path(__file__).parent / "recipes"
# Clips of the sample grid; training captions from far beyond the trajectories, never the held-out ones.
SAMPLE_FROM, SAMPLES = 100_000, 32


@dataclass
class Run:
    """A recipe with what it needs on disk."""

    recipe: dict[str, Any]
    directory: Path
    parent_file: Path
    parent_run: Path

    def trajectories(self, parent: PocketModel | None = None) -> tuple[LatentSet, Trajectories]:
        """Data and trajectories, computed where they are missing."""
        parent = load_model(self.parent_file) if parent is None else parent
        data = self._data()
        owner = self.recipe["trajectories"].get("of")
        directory = self.directory if owner is None else self.directory.parent / owner
        return data, cache_trajectories(directory, self.recipe, pocket_teacher(parent), data)

    def train(self, until: int | None = None) -> FewStepTrainer:
        """Train, or go on, up to the recipe's steps."""
        parent = load_model(self.parent_file)
        data, trajectories = self.trajectories(parent)
        trainer = build_trainer(self.directory, self.recipe, pocket_teacher(parent))
        context, mask = encode_captions(parent, data.captions[: len(trajectories.states)])
        device = trainer.accelerator.device
        source = Source(data, trajectories, context, mask, device)
        parent.denoiser.to(device)
        trainer.run(
            source,
            DrawConfig(**tuples(self.recipe["draw"])),
            lambda step: self._sample(trainer, parent),
            until,
        )
        return trainer

    def pack(self, target: Path) -> Path:
        """Write the averaged student of the last checkpoint, with its card."""
        parent = load_model(self.parent_file)
        trainer = build_trainer(self.directory, self.recipe, pocket_teacher(parent))
        card = make_card(self.recipe, training_cost(self.recipe, trainer), self.parent_file)
        state = merged_state(trainer.plain, trainer.averaged())
        if trainer.accelerator.is_main_process:
            save_student(target, state, parent.config, self.parent_file, card)
        trainer.accelerator.wait_for_everyone()
        return target

    def _data(self) -> LatentSet:
        parent_recipe = read_recipe(self.recipe["parent"], RECIPES.parents[1] / "recipes")
        return cache_latents(self.parent_run, parent_recipe)

    def _sample(self, trainer: FewStepTrainer, parent: PocketModel) -> None:
        """`samples.png`, and one line of `progress.jsonl`: what the averaged student shows by now."""
        student = student_model(parent, trainer)
        if not trainer.accelerator.is_main_process:
            return
        specs = [training_spec(self.recipe["seed"], SAMPLE_FROM + i) for i in range(SAMPLES)]
        line: dict[str, Any] = {"step": trainer.step, "seconds": round(trainer.seconds)}
        clips, captions = [], []
        for steps, sigmas in self.recipe["sampling"]["sigmas"].items():
            videos = generate(
                student,
                [spec.caption for spec in specs],
                seed=self.recipe["seed"],
                guidance=1.0,
                motion=[spec.motion_score for spec in specs],
                sigmas=torch.tensor(sigmas),
                renoise=self.recipe["sampling"]["kind"] == "renoise",
            ).cpu()
            found = adherence([(clip.permute(1, 2, 3, 0) + 1) / 2 for clip in videos], specs)
            line[steps] = {name: round(value, 4) for name, value in found.items()}
            clips.append(videos[:4])
            captions += [f"{steps} steps: {spec.caption}" for spec in specs[:4]]
        with (self.directory / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        sheet = contact_sheet(torch.cat(clips), captions)
        sheet.save(self.directory / "samples.png")
        if trainer.view:
            trainer.view.picture("samples", sheet, trainer.step)
            trainer.view.losses(
                {
                    f"{steps} steps/{name}": value
                    for steps in self.recipe["sampling"]["sigmas"]
                    for name, value in line[steps].items()
                },
                trainer.step,
            )
        log.info("%s", json.dumps(line))


def build_trainer(directory: Path, recipe: dict[str, Any], parent: Teacher) -> FewStepTrainer:
    """The loop of a recipe around a teacher's network."""
    settings = StudentConfig(**tuples(recipe["student"]))
    seed = recipe["seed"]
    network = copy.deepcopy(parent.network).eval().requires_grad_(False)
    teacher = replace(parent, network=network)
    config = TrainConfig(**recipe["train"])
    student = make_student(network, settings, seed)
    objectives = build_objectives(recipe, config, teacher, student, settings)
    trainer = FewStepTrainer(
        directory,
        config,
        student,
        parent.velocity_of,
        objectives,
        lambda name, network: make_optimizers(name, network, settings),
        seed,
    )
    network.to(trainer.accelerator.device)
    return trainer


def build_objectives(
    recipe: dict[str, Any],
    config: TrainConfig,
    teacher: Teacher,
    student: nn.Module,
    settings: StudentConfig,
) -> dict[str, Objective]:
    """The objectives that the recipe weighs, each from its own section."""
    made: dict[str, Objective] = {}
    seed = recipe["seed"]
    for name in config.weights:
        section = dict(recipe.get("objectives", {}).get(name, {}))
        if name == "regression":
            made[name] = Regression(**section)
        elif name == "adversarial":
            heads = HeadsConfig(**tuples(section.pop("heads")))
            network = teacher.network
            features = block_features(teacher.blocks(network), heads.stages, teacher.velocity_of(network))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed + 1)
                critic = Heads(heads, *teacher.sizes)
            made[name] = Adversarial(features, critic, **section)
        elif name == "distribution":
            fake: nn.Module = copy.deepcopy(teacher.network)
            if settings.kind == "lora":
                fake = with_lora(fake, settings, seed)
            else:
                fake.train().requires_grad_(True)
            velocity = _guided(recipe, teacher)
            made[name] = DistributionMatching(velocity, fake, teacher.velocity_of, **section)
        elif name == "consistency":
            made[name] = Consistency(student, teacher.velocity_of, _guided(recipe, teacher), **section)
        else:
            raise ValueError(f"There is no objective '{name}': correct train.weights of the recipe.")
    return made


def _guided(recipe: dict[str, Any], teacher: Teacher) -> Velocity:
    velocity = teacher.velocity_of(teacher.network)
    return guided(velocity, recipe["trajectories"]["guidance"], teacher.encode([""]))


def student_model(parent: PocketModel, trainer: FewStepTrainer) -> PocketModel:
    """The parent's text encoder and VAE around the averaged student, for sampling."""
    denoiser = copy.deepcopy(parent.denoiser)
    denoiser.load_state_dict(merged_state(trainer.plain, trainer.averaged()))
    made = PocketModel(parent.config, denoiser.eval(), parent.vae, parent.text_encoder, parent.tokenizer)
    return made


def read_recipe(name: str, folder: Path = RECIPES) -> dict[str, Any]:
    """A recipe by name or by path, laid over the one that it names as its `base`.

    Raises SystemExit with the known names.
    """
    path = Path(name) if name.endswith(".json") else folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.json")))
        raise SystemExit(f"There is no recipe '{name}': choose {known}, or name a JSON file.")
    recipe: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    base = recipe.pop("base", None)
    return recipe if base is None else overlaid(read_recipe(base, folder), recipe)


def overlaid(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with the entries of `changes`, section by section; null takes an entry away."""
    result = dict(base)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict) and isinstance(result.get(name), dict):
            result[name] = overlaid(result[name], value)
        else:
            result[name] = value
    return result


def tuples(section: dict[str, Any]) -> dict[str, Any]:
    """JSON has no tuples, and frozen settings want them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in section.items()}
