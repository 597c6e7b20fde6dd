"""Runs a bundle: executes its plan, op by op, with numpy and onnxruntime, and writes the video."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from ..bundle import Bundle, Op
from . import inputs, rng
from .coding import decode_in_pieces, decode_whole, encode_in_pieces, given_channels
from .errors import EngineError
from .flow import Conditions, FlowModel, TextFeatures, sample
from .image import crop_and_resize, decode_photo
from .leap import LeapConfig
from .memory import peak_rss_bytes
from .merging import MergeConfig
from .preview import preview
from .progress import Progress, Watch
from .scheduling import plan_sigmas
from .streaming import Component, SessionOptions, Sessions, WeightReport
from .text import PromptTokenizer, read_features
from .tiling import Tiling, decode_tiled
from .video import to_frames, write_mp4
from .webp import write_webp

log = logging.getLogger(__name__)

VIDEO_NAME = "video.mp4"
WEBP_NAME = "video.webp"


@dataclass
class RunResult:
    """What a run made.

    `frames` is `[T, H, W, 3]` uint8, `timings` seconds per op id in plan order, `evaluations` the number of
    network evaluations of the denoiser, `leap_steps` the step (counted from 0) that each denoise op of a
    leap leapt at, None where it did not, `values` the inputs as JSON can hold them, `peak_rss_bytes` the
    process's peak, `weights` how each component's weights came to its stages, `graphs_loaded` how many graphs
    no earlier run had kept.
    """

    frames: np.ndarray
    video_path: Path
    timings: dict[str, float]
    evaluations: int
    values: dict[str, Any]
    peak_rss_bytes: int | None
    leap_steps: dict[str, int | None] = field(default_factory=dict)
    weights: dict[str, WeightReport] = field(default_factory=dict)
    graphs_loaded: int = 0


@dataclass
class _State:
    """One run's results by op id, and the components that later ops still need."""

    bundle: Bundle
    values: dict[str, Any]
    watch: Watch
    options: SessionOptions
    output_dir: Path
    batch_guidance: bool
    memory_budget: int | None
    sessions: Sessions | None
    made: dict[str, Any] = field(default_factory=dict)
    components: dict[str, Component] = field(default_factory=dict)
    evaluations: int = 0
    leap_steps: dict[str, int | None] = field(default_factory=dict)
    weights: dict[str, WeightReport] = field(default_factory=dict)
    graphs_loaded: int = 0
    frames: np.ndarray | None = None
    video_path: Path | None = None

    def value(self, literal: Any) -> Any:
        """A literal, or the input or op result that it names."""
        if isinstance(literal, dict):
            return self.values[literal["input"]] if "input" in literal else self.made[literal["op"]]
        return literal

    def component(self, name: str) -> Component:
        if name not in self.components:
            made = Component(
                self.bundle, name, self.options, memory_budget=self.memory_budget, sessions=self.sessions
            )
            self.components[name] = made
            if self.memory_budget is None:
                made.open()
        return self.components[name]

    def network(self, op: Any, merges: bool) -> Component:
        """A denoise op's component, or its twin that merges; a budget has room for the one that runs."""
        names = (op["component"], op["merge"]["component"] if "merge" in op else None)
        wanted, other = reversed(names) if merges else names
        if self.memory_budget is not None and other in self.components:
            self.close(other)
        return self.component(wanted)

    def close(self, name: str) -> None:
        """Let go of a component and keep its report."""
        component = self.components.pop(name)
        self.graphs_loaded += component.loaded
        report = component.report()
        self.weights[name] = report.after(self.weights[name]) if name in self.weights else report
        component.close()


def run_bundle(
    bundle: Bundle,
    values: Mapping[str, Any] | None = None,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    output_dir: str | Path,
    batch_guidance: bool = False,
    memory_budget: int | None = None,
    sessions: Sessions | None = None,
) -> RunResult:
    """Run a verified bundle and write `video.mp4` (or the plan's `video.webp`) below `output_dir`.

    Args:
        values: inputs by name; what is left out takes the bundle's default.
        threads: per graph; None takes onnxruntime's choice.
        progress: called in this thread with a ProgressEvent per step; an exception of its own ends the run.
        cancel: set it from any thread to stop within one network evaluation.
        batch_guidance: evaluate both prompts of a step in one batch: the same result with twice the memory.
        memory_budget: bytes of resident memory that the process may take while networks run; weights that do
            not fit are streamed from storage. None holds all weights.
        sessions: graphs that earlier runs loaded, for a run without a memory budget; what this one loads is
            kept there.

    Raises InputError for a value, Cancelled, EngineError, or BundleError for a file that is not what the
    manifest says; each is one sentence.
    """
    if not bundle.manifest["plan"]:
        raise EngineError(
            f"The bundle {bundle.manifest['name']!r} has no plan, only networks to test and measure; export a"
            " workflow to make a video."
        )
    watch = Watch(progress, cancel)
    resolved = inputs.resolve(bundle, values or {})
    options = SessionOptions(threads)
    # A budget has room for the component that runs.
    kept = sessions if memory_budget is None else None
    state = _State(bundle, resolved, watch, options, Path(output_dir), batch_guidance, memory_budget, kept)
    plan = bundle.manifest["plan"]
    timings: dict[str, float] = {}
    try:
        for index, op in enumerate(plan):
            watch.check()
            started = time.perf_counter()
            state.made[op["id"]] = _OPS[op["op"]](state, op)
            timings[op["id"]] = time.perf_counter() - started
            log.info("%s (%s): %.2f s", op["id"], op["op"], timings[op["id"]])
            _forget(state, plan[index + 1 :])
    finally:
        for name in list(state.components):
            state.close(name)
    if state.frames is None or state.video_path is None:
        raise EngineError("The plan wrote no video; export the bundle again.")
    return RunResult(
        state.frames,
        state.video_path,
        timings,
        state.evaluations,
        inputs.describe(bundle, resolved),
        max(
            filter(None, [peak_rss_bytes(), *(one.peak_rss_bytes for one in state.weights.values())]),
            default=None,
        ),
        state.leap_steps,
        state.weights,
        state.graphs_loaded,
    )


def _forget(state: _State, rest: list[Op]) -> None:
    """Drop sessions and results that no later op uses, so the peak is the largest op and not their sum."""
    components = {op.get(field) for op in rest for field in ("component", "next")}
    components |= {op["merge"]["component"] for op in rest if op["op"] == "denoise" and "merge" in op}
    components |= {op["later"]["component"] for op in rest if op["op"] == "encode_image" and "later" in op}
    values: list[Any] = [value for op in rest for value in op.values()]
    values += [op["given"].get("latent") for op in rest if op["op"] == "denoise" and "given" in op]
    results = {value["op"] for value in values if isinstance(value, dict) and "op" in value}
    for name in state.components.keys() - components:
        state.close(name)
    for name in state.made.keys() - results:
        del state.made[name]


def _encode_text(state: _State, op: Any) -> TextFeatures:
    state.watch.report(op["id"], op["op"], 0, 1)
    component = state.component(op["component"])
    spec = component.spec
    tokenizer = PromptTokenizer(state.bundle.read(spec["tokenizer"]), spec["max_tokens"], spec["pad_id"])
    ids, mask = tokenizer.encode(state.value(op["text"]))
    result = component.run({"input_ids": ids, "attention_mask": mask}, state.watch.check)
    state.watch.report(op["id"], op["op"], 1, 1)
    return TextFeatures(result["context"], mask.astype(np.float32))


def _load_text(state: _State, op: Any) -> TextFeatures:
    made = TextFeatures(*read_features(state.bundle.path(op["features"])))
    state.watch.report(op["id"], op["op"], 1, 1)
    return made


def _zero_text(state: _State, op: Any) -> TextFeatures:
    text: TextFeatures = state.value(op["text"])
    mask = text.mask if op["keep_mask"] else np.zeros_like(text.mask)
    return TextFeatures(np.zeros_like(text.context), mask)


def _encode_image(state: _State, op: Any) -> np.ndarray:
    state.watch.report(op["id"], op["op"], 0, 1)
    photo = state.value(op["image"])
    if isinstance(photo, str):
        photo = state.bundle.read(photo)
    pixels = crop_and_resize(decode_photo(photo), op["width"], op["height"])
    image = (pixels * 2 - 1).transpose(2, 0, 1)[None, :, None]
    component = state.component(op["component"])
    if "later" not in op:
        latent = component.run({"image": image}, state.watch.check)["latent"]
    else:
        later = op["later"]

        def after_piece(done: int, total: int) -> None:
            if done < total:
                state.watch.report(op["id"], op["op"], done, total)

        latent = encode_in_pieces(
            component,
            state.component(later["component"]),
            image,
            later["pieces"],
            later["frames"],
            state.watch.check,
            after_piece,
        )
    state.watch.report(op["id"], op["op"], 1, 1)
    return latent


def _noise(state: _State, op: Any) -> np.ndarray:
    seed = inputs.parse_seed(op["id"], state.value(op["seed"]))
    result = rng.normal(seed, op["shape"])
    state.watch.report(op["id"], op["op"], 1, 1)
    return result


def _denoise(state: _State, op: Any) -> np.ndarray:
    spec = state.component(op["component"]).spec
    noise: np.ndarray | None = state.value(op["noise"])
    given: np.ndarray | None = state.value(op.get("latent"))
    shape = next(array.shape for array in (noise, given) if array is not None)
    schedule = op["schedule"]
    sigmas = plan_sigmas(schedule, state.value(schedule.get("steps")))
    first_frame = state.value(op["first_frame"])
    _check_shape("The first frame's latent", first_frame, (*shape[:2], 1, *shape[3:]))
    _check_shape("The latent that is denoised", given, shape)
    conditions = Conditions(
        positive=state.value(op["positive"]),
        negative=state.value(op["negative"]),
        scale=float(state.value(op["guidance"])),
        first_frame=first_frame,
        latent=given,
        keep_first_frame=op.get("keep_first_frame", False),
        multiplier=schedule["multiplier"],
        batched=state.batch_guidance,
    )
    motion = np.float32(state.value(op["motion"]))
    more: dict[str, np.ndarray] = {}
    if "given" in op:
        more["given"] = given_channels(state.value(op["given"].get("latent")), op["given"]["channels"], shape)
    merge = MergeConfig.of(op["merge"]) if "merge" in op else None
    tokens = merge.arrays(shape[2:], conditions.first_frame_given) if merge is not None else None

    def velocities(
        latent: np.ndarray, timestep: np.ndarray, texts: Sequence[TextFeatures]
    ) -> list[np.ndarray]:
        # Frames that are not given have the sampler's own time.
        sigma = float(timestep.max()) / schedule["multiplier"]
        merged = tokens if merge is not None and merge.inside(sigma) else None
        feeds = [
            {
                **(merged or {}),
                **{name: np.repeat(value, len(latent), axis=0) for name, value in more.items()},
                "latent": latent,
                "timestep": timestep,
                "context": text.context,
                "context_mask": text.mask,
                "motion": np.full(latent.shape[0], motion, np.float32),
                "fps": np.full(latent.shape[0], op.get("frame_rate", 0), np.float32),
            }
            for text in texts
        ]
        network = state.network(op, merged is not None)
        return [made["velocity"] for made in network.run_each(feeds, state.watch.check)]

    total = max(len(sigmas) - 1, 0)

    def after_step(step: int, denoised: np.ndarray) -> None:
        state.watch.report(op["id"], op["op"], step + 1, total, preview(spec, denoised))

    state.watch.report(op["id"], op["op"], 0, total)
    model = FlowModel(velocities, conditions, shape)
    leap = LeapConfig(**op["leap"]) if "leap" in op else None
    fresh = inputs.parse_seed(op["id"], state.value(op.get("renoise_seed", "0")))
    latent, step = sample(model, noise, sigmas, op["sampler"], after_step, leap, fresh)
    state.evaluations += model.evaluations
    if leap is not None:
        state.leap_steps[op["id"]] = step
    return latent


def _check_shape(what: str, array: np.ndarray | None, shape: tuple[int, ...]) -> None:
    if array is not None and array.shape != shape:
        raise EngineError(
            f"{what} has the shape {array.shape} and the video asks for {shape}; export the bundle again."
        )


def _decode(state: _State, op: Any) -> np.ndarray:
    state.watch.report(op["id"], op["op"], 0, 1)
    component = state.component(op["component"])

    def after_piece(done: int, total: int) -> None:
        if done < total and "tiles" not in op:
            state.watch.report(op["id"], op["op"], done, total)

    def decode(latent: np.ndarray) -> np.ndarray:
        if "next" not in op:
            return decode_whole(component, latent, state.watch.check)
        later = state.component(op["next"])
        return decode_in_pieces(component, later, latent, state.watch.check, after_piece)

    latent: np.ndarray = state.value(op["latent"])
    if "tiles" in op:
        tiling = Tiling(**{field: tuple(sizes) for field, sizes in op["tiles"].items()})

        def after_tile(done: int, total: int) -> None:
            if done < total:
                state.watch.report(op["id"], op["op"], done, total)

        video = decode_tiled(latent, decode, tiling, after_tile)
    else:
        video = decode(latent)
    frames = to_frames(video)
    state.watch.report(op["id"], op["op"], 1, 1)
    return frames


def _write_video(state: _State, op: Any) -> Path:
    frames: np.ndarray = state.value(op["frames"])
    settings = {
        "bundle": state.bundle.id,
        "name": state.bundle.manifest["name"],
        "created_by": state.bundle.manifest["created_by"],
        "values": inputs.describe(state.bundle, state.values),
    }
    comment = json.dumps(settings, ensure_ascii=False)

    def after_frame(done: int) -> None:
        state.watch.report(op["id"], op["op"], done, len(frames))

    path = state.output_dir / (WEBP_NAME if "webp" in op else VIDEO_NAME)
    if "webp" in op:
        write_webp(path, frames, op["fps"], comment, after_frame, **op["webp"])
    else:
        write_mp4(path, frames, op["fps"], comment, after_frame)
    state.frames, state.video_path = frames, path
    return path


_OPS: Mapping[str, Any] = cast(
    Mapping[str, Any],
    {
        "encode_text": _encode_text,
        "load_text": _load_text,
        "zero_text": _zero_text,
        "encode_image": _encode_image,
        "noise": _noise,
        "denoise": _denoise,
        "decode": _decode,
        "write_video": _write_video,
    },
)
