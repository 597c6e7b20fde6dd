"""Do Core ML packages compute what torch computes, and what do they weigh? `make bench-coreml`.

Every stage is converted, saved, and judged by the exporter's own gate. What runs the packages is the
interpreter of the tests, which evaluates the saved bytes op by op, because Core ML itself runs on Apple's
systems only; on one of those, partial networks are run by Core ML too and the lower figure counts. Figures in
dB depend on the numbers alone, so a busy machine does not change them.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from comfyui_pocketvideo.pocketvideo.export import ParityError
from comfyui_pocketvideo.pocketvideo.export.coreml.convert import quiet
from comfyui_pocketvideo.pocketvideo.export.coreml.gate import threshold
from comfyui_pocketvideo.pocketvideo.export.coreml.sources import model_parts
from comfyui_pocketvideo.pocketvideo.export.coreml.writer import export_coreml
from comfyui_pocketvideo.pocketvideo.export.random_weights import RANDOM_PRESETS
from comfyui_pocketvideo.pocketvideo.models import load_model
from report import RESULTS, ROOT, Bar, finish
from tqdm import tqdm

sys.path.append(str(ROOT / "tests"))
with quiet():
    from unit.export.coreml.mil import predict
    from unit.export.coreml.packages import gated, options

MODEL = ROOT / "models" / "pocketvideo" / "pocket_shapes.safetensors"
# The latents of the quickstart's clip, and of 17 x 256 x 448 pixels as each of the two autoencoders makes it.
SHAPES_LATENT, MOBILE_LATENT, STDIT3_LATENT = "5x4x4", "3x8x14", "5x32x56"
COMPRESSED = ("int8", "int4", "palette4")
WHOLE = "all stages in a chain"


@dataclass(frozen=True)
class Measured:
    """One package, or a chain of them: what its weights are stored as, its size, and its worst output."""

    network: str
    stage: str
    weights: str
    size: int
    figure: float

    @property
    def is_block(self) -> bool:
        return self.stage.startswith(("block_", "spatial_", "temporal_"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", choices=("shapes", "mobilei2v", "stdit3"), help="one network, to try things"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON file")
    arguments = parser.parse_args()
    # That parity cannot be checked on this system is no news: this command checks it.
    logging.disable(logging.WARNING)
    jobs = {
        "shapes": [
            *(partial(shapes, weights=each) for each in ("float16", "float32", *COMPRESSED)),
            other_components,
        ],
        "mobilei2v": [partial(mobilei2v, weights=each) for each in ("float16", *COMPRESSED)],
        "stdit3": [stdit3],
    }
    wanted = [job for name, some in jobs.items() if arguments.only in (None, name) for job in some]
    found: list[Measured] = []
    try:
        for job in tqdm(wanted, "conversions"):
            with tempfile.TemporaryDirectory() as folder:
                found += job(Path(folder))
    except ParityError as error:
        print(error, file=sys.stderr)
        return 1
    extra = {"stages": [vars(one) for one in found]}
    return finish("coreml", rows(found), bars(found), results=arguments.results, **extra)


def shapes(folder: Path, weights: str) -> list[Measured]:
    """The shipped denoiser: every stage, and what comes out of the whole chain."""
    chosen = options(SHAPES_LATENT, *compression(weights), precision=[precision(weights)])
    parts = model_parts(load_model(MODEL), ["denoiser"])
    index = export_coreml(parts, folder / "out", chosen, cache_dir=folder / "cache", predict=predict)
    part = index["components"]["denoiser"]
    found = [
        Measured("pocket_shapes", Path(one["package"]).stem, weights, one["bytes"], one["parity_db"])
        for one in part["stages"]
    ]
    size = sum(one.size for one in found)
    return [*found, Measured("pocket_shapes", WHOLE, weights, size, part["parity_db"])]


def other_components(folder: Path) -> list[Measured]:
    """Text encoder and autoencoder, each as its chain."""
    parts = model_parts(load_model(MODEL), ["text_encoder", "vae_encoder", "vae_decoder"])
    index = export_coreml(
        parts, folder / "out", options(SHAPES_LATENT), cache_dir=folder / "cache", predict=predict
    )
    return [
        Measured(
            "pocket_shapes", name, "float16", sum(one["bytes"] for one in part["stages"]), part["parity_db"]
        )
        for name, part in index["components"].items()
    ]


def mobilei2v(folder: Path, weights: str) -> list[Measured]:
    """A linear and a softmax block at full size, with random weights."""
    return random_blocks("mobilei2v_270m", MOBILE_LATENT, ("block_00", "block_07"), folder, weights)


def stdit3(folder: Path) -> list[Measured]:
    """A spatial and a temporal block of Open-Sora's network at full size, with random weights."""
    return random_blocks("stdit3_xl2", STDIT3_LATENT, ("spatial_00", "temporal_00"), folder, "float16")


def random_blocks(
    name: str, latent: str, blocks: tuple[str, ...], folder: Path, weights: str
) -> list[Measured]:
    """Some blocks of a preset, behind its prologue, whose weights stay float16."""
    preset = RANDOM_PRESETS[name]
    rules = [f"denoiser/{block}={kind}" for block in blocks for kind in compression(weights)]
    chosen = options(latent, *rules, precision=[precision(weights)])
    figures = gated(preset.component(0), folder, chosen, "prologue", *blocks, length=preset.length)
    return [
        Measured(name, block, weights, package_bytes(folder / f"{block}.mlpackage"), figures[block])
        for block in blocks
    ]


def rows(found: list[Measured]) -> list[dict[str, Any]]:
    """Every package with float16 weights; of the others, a network's blocks in one row."""
    made: list[dict[str, Any]] = []
    for one in found:
        if one.weights == "float16" or not (one.is_block or one.stage in ("prologue", "epilogue")):
            made.append(row(one.network, one.stage, one.weights, one.size, one.figure))
        elif one.is_block and one == blocks_of(found, one.network, one.weights)[0]:
            alike = blocks_of(found, one.network, one.weights)
            made.append(
                row(
                    one.network,
                    f"{len(alike)} blocks",
                    one.weights,
                    sum(each.size for each in alike),
                    min(each.figure for each in alike),
                )
            )
    return made


def row(network: str, stage: str, weights: str, size: int, figure: float) -> dict[str, Any]:
    return {
        "network": network,
        "stage": stage,
        "weights": weights,
        "MB": f"{size / 1e6:.2f}",
        "PSNR dB, worst output": f"{figure:.1f}",
    }


def bars(found: list[Measured]) -> list[Bar]:
    """The exporter's thresholds, which are the gate's, over the worst block of every network and form."""
    made = []
    for network, weights in dict.fromkeys((one.network, one.weights) for one in found):
        blocks = blocks_of(found, network, weights)
        worst = min(one.figure for one in blocks)
        least = threshold(precision(weights), "".join(compression(weights)) or "none")
        made.append(
            Bar(
                f"{network}, {weights}, worst of {len(blocks)} blocks",
                f"{worst:.1f} dB",
                f"{least:.0f} dB or more",
                worst >= least,
            )
        )
    return made


def blocks_of(found: list[Measured], network: str, weights: str) -> list[Measured]:
    return [one for one in found if one.is_block and (one.network, one.weights) == (network, weights)]


def precision(weights: str) -> str:
    """What the program computes in; compressed weights are unpacked to it."""
    return "float32" if weights == "float32" else "float16"


def compression(weights: str) -> list[str]:
    return [weights] if weights in COMPRESSED else []


def package_bytes(package: Path) -> int:
    return sum(path.stat().st_size for path in package.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
