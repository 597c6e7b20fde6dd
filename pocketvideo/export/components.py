"""One component of a model to files: graphs, weights per stage, a self-test, the parity reached."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from safetensors.numpy import save_file

from ...mobile_runtime.bundle import open_tensors
from ..models import PocketModel
from .cache import ExportCache, fingerprint
from .graphs import OPSET, export_stage, stage_weights, weights_used
from .layout import USUAL, Form, check_form
from .layout_stages import shaped
from .modelfile import file_digest
from .networks import component
from .parity import MIN_PSNR, Check
from .stages import Component, Stage
from .tokenizer import device_tokenizer, pad_id

log = logging.getLogger(__name__)

SELF_TEST = "self_test.safetensors"
Step = Callable[[str], None]


def count_steps(model: PocketModel, name: str) -> int:
    """How often `export_component` calls `step` for this component."""
    return len(component(model, name).stages) + 1


def export_component(
    folder: Path,
    *,
    model: PocketModel,
    name: str,
    cache: ExportCache,
    code: str,
    step: Step,
    twin_of: tuple[Path, str] | None = None,
    form: Form = USUAL,
) -> dict[str, Any]:
    """Write the files of one component into `folder` and return its cache entry.

    `step` is called before each unit of work with a few words, and may raise to stop. `twin_of` is the folder
    and the name of a finished component whose weights this one shares, `form` that of the denoiser. Raises
    `ExportError`, and `ParityError` when a stage or the whole differs from torch by more than 60 dB PSNR
    allows.
    """
    part = component(model, name)
    if part.kind == "denoiser" and form != USUAL:
        check_form(form, (name,), own=True)
        part = shaped(part, form)
    graph_of = partial(_graph, model, part, form, cache=cache, code=code)
    entry = write_stages(folder, part, model.max_tokens, graph_of, step, twin_of)
    described = entry["component"]
    if part.kind == "text_encoder":
        described |= {
            "tokenizer": f"{name}/tokenizer.json",
            "max_tokens": model.max_tokens,
            "pad_id": pad_id(model),
        }
        (folder / described["tokenizer"]).write_text(device_tokenizer(model), "utf-8")
    if part.kind == "denoiser" and "latent_rgb" in model.config:
        described["latent_rgb"] = model.config["latent_rgb"]
    return entry | {"files": list_files(folder)}


def write_stages(
    folder: Path,
    part: Component,
    length: int,
    graph_of: Callable[[Stage], Path],
    step: Step,
    twin_of: tuple[Path, str] | None = None,
) -> dict[str, Any]:
    """Write graphs, weights and self-test of a component, one stage in memory at a time.

    `length` is the number of text tokens of the check, `graph_of` gives the file of a stage's graph. A twin's
    stages name the weight files of the component that it shares them with. Returns the cache entry without
    its files. Raises as `export_component` does.
    """
    name = part.name
    (folder / name).mkdir()
    graphs: dict[str, str] = {}
    stages: list[dict[str, str]] = []
    parity: dict[str, float] = {}
    total = largest = 0
    check = Check(part, length)
    for stage in part.stages:
        step(f"Exporting {name}: {stage.weights}")
        graph = graph_of(stage)
        if stage.graph not in graphs:
            graphs[stage.graph] = f"{name}/{stage.graph}.onnx"
            (folder / graphs[stage.graph]).write_bytes(graph.read_bytes())
        module = stage.build()
        needed = weights_used(graph.read_bytes(), stage.inputs)
        path = f"{name if twin_of is None else twin_of[1]}/{stage.weights}.safetensors"
        if twin_of is None:
            held = stage_weights(module)
            weights = {key: np.ascontiguousarray(held[key].numpy()) for key in needed}
            save_file(weights, folder / path)
            total += sum(value.nbytes for value in weights.values())
        else:
            weights = dict(open_tensors(twin_of[0] / path))
        stages.append({"graph": stage.graph, "weights": path})
        parity[stage.weights] = round(min(check.stage(stage, module, graph, weights), 999.0), 1)
        largest = max(largest, sum(value.nbytes for value in weights.values()))
    step(f"Checking {name}")
    parity["whole"] = round(min(check.finish(), 999.0), 1)
    log.info("exported %s: parity %.1f dB at worst", name, min(parity.values()))
    save_file(check.self_test(), folder / SELF_TEST)
    return {
        "component": {
            "kind": part.kind,
            "graphs": graphs,
            "stages": stages,
            "inputs": list(part.inputs),
            "outputs": list(part.outputs),
        },
        "parity": parity,
        "min_psnr": MIN_PSNR,
        "memory": {"weights": total, "largest_stage": largest},
    }


def list_files(folder: Path) -> dict[str, list[Any]]:
    """Path, digest and size of every file below a folder, as a cache entry lists them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {file.relative_to(folder).as_posix(): [file_digest(file), file.stat().st_size] for file in files}


def graph_key(code: str, name: str, identity: Any, graph: str) -> str:
    """What a graph is kept under: everything that decides its bytes."""
    return fingerprint([code, OPSET, torch.__version__, onnx.__version__, name, identity, graph])


def _graph(
    model: PocketModel, part: Component, form: Form, stage: Stage, cache: ExportCache, code: str
) -> Path:
    configs = {
        "denoiser": model.denoiser.config.to_dict(),
        "text_encoder": model.text_encoder.config,
        "vae_decoder": model.vae.config,
        "vae_encoder": model.vae.config,
    }
    # By kind, for a twin's prologue and epilogue are the network's own.
    key = graph_key(code, part.kind, [configs[part.kind], str(form)], stage.graph)
    return cache.graph(key, lambda: export_stage(stage, part.axes, f"{part.name}/{stage.graph}"))
