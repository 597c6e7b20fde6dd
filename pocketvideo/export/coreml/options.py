"""What a Core ML export can be asked for: sizes, precision, compression of weights, compute units.

Precision, compression and compute units are rules, `PATTERN=VALUE`, over names such as `denoiser/block_03`;
the last rule that matches wins, so a component or a single block can differ from the rest.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ..errors import ExportError

COMPONENTS = ("text_encoder", "denoiser", "vae_encoder", "vae_decoder")
PRECISIONS = ("float16", "float32")
COMPRESSIONS = ("none", "int8", "int4", "palette4")
# As MLComputeUnits spells its cases, so that an app can use the word as it is.
COMPUTE_UNITS = ("all", "cpuOnly", "cpuAndGPU", "cpuAndNeuralEngine")
SIZED_AXES = ("frames", "height", "width")
# Core ML's documented limit of EnumeratedShapes.
MAX_ENUMERATED = 128
MAX_AXIS = 4096

Shape = tuple[int, int, int]
Rules = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sizes:
    """Latent sizes `(frames, height, width)` that a package takes, and its batch.

    `fixed` has one shape and is what the Neural Engine runs best; `enumerated` has a list; `range` has the
    smallest and the largest, axis by axis.
    """

    kind: str
    shapes: tuple[Shape, ...]
    batch: int = 1

    def __post_init__(self) -> None:
        if self.batch not in (1, 2):
            raise ExportError(
                f"A batch of {self.batch} is not exported; choose 1, or 2 to run guidance at once."
            )
        if any(not 1 <= size <= MAX_AXIS for shape in self.shapes for size in shape):
            raise ExportError(f"A latent has 1 to {MAX_AXIS} cells along an axis; correct the sizes.")
        if self.kind == "range" and any(low > high for low, high in zip(*self.shapes, strict=True)):
            raise ExportError("A range of sizes goes from the smallest to the largest; swap its two ends.")
        if len(set(self.shapes)) != len(self.shapes):
            raise ExportError("A latent size is listed twice; list it once.")
        if len(self.shapes) > MAX_ENUMERATED:
            raise ExportError(f"Core ML takes at most {MAX_ENUMERATED} listed sizes; give a range instead.")

    @classmethod
    def parse(cls, text: str, batch: int = 1) -> "Sizes":
        """`4x12x12`, a list `4x12x12,7x12x16`, or a range `1x4x4..13x32x32`. Raises `ExportError`."""
        ends = text.split("..")
        if len(ends) == 2:
            low, high = _shape(ends[0], text), _shape(ends[1], text)
            if low == high:
                return cls("fixed", (low,), batch)
            return cls("range", (low, high), batch)
        shapes = tuple(_shape(part, text) for part in text.split(","))
        return cls("fixed" if len(shapes) == 1 else "enumerated", shapes, batch)

    @property
    def varying(self) -> tuple[str, ...]:
        """The axes that are not the same in all shapes."""
        return tuple(
            name for axis, name in enumerate(SIZED_AXES) if len({shape[axis] for shape in self.shapes}) > 1
        )

    @property
    def largest(self) -> Shape:
        """The largest size of every axis."""
        frames, height, width = (max(sizes) for sizes in zip(*self.shapes, strict=True))
        return frames, height, width

    @property
    def smallest(self) -> Shape:
        """The smallest size of every axis."""
        frames, height, width = (min(sizes) for sizes in zip(*self.shapes, strict=True))
        return frames, height, width

    def checked(self) -> tuple[Shape, ...]:
        """The shapes that the parity gate runs: all that are listed; of a range its start and its middle."""
        if self.kind != "range":
            return self.shapes
        low, high = self.shapes
        frames, height, width = ((a + b + 1) // 2 for a, b in zip(low, high, strict=True))
        return low, (frames, height, width)


@dataclass(frozen=True)
class CoreMLOptions:
    """Everything that decides what is in the packages, apart from the model.

    `units` may be empty: then every stage gets the hint that fits its precision, sizes and layers.
    """

    sizes: Sizes
    precision: Rules = (("*", "float16"),)
    compression: Rules = (("*", "none"),)
    units: Rules = ()

    def __post_init__(self) -> None:
        _check("precision", self.precision, PRECISIONS)
        _check("compression", self.compression, COMPRESSIONS)
        _check("compute units", self.units, COMPUTE_UNITS)

    def precision_of(self, component: str) -> str:
        """`float16` or `float32`; one per component, for its stages exchange activations."""
        return pick(self.precision, component) or "float16"

    def compression_of(self, component: str, stage: str) -> str:
        """One of `COMPRESSIONS`."""
        return pick(self.compression, f"{component}/{stage}") or "none"

    def units_of(self, component: str, stage: str) -> str | None:
        """One of `COMPUTE_UNITS`, or None where no rule matches."""
        return pick(self.units, f"{component}/{stage}")


def pick(rules: Rules, name: str) -> str | None:
    """The value of the last rule whose pattern matches `name` or its component."""
    found = None
    for pattern, value in rules:
        if fnmatchcase(name, pattern) or fnmatchcase(name.partition("/")[0], pattern):
            found = value
    return found


def parse_rules(texts: list[str]) -> Rules:
    """`["int8", "denoiser/epilogue=none"]` to rules; a value alone holds for everything."""
    rules = []
    for text in texts:
        pattern, separator, value = text.rpartition("=")
        rules.append((pattern if separator else "*", value))
    return tuple(rules)


def _check(what: str, rules: Rules, allowed: tuple[str, ...]) -> None:
    for pattern, value in rules:
        if value not in allowed:
            raise ExportError(
                f"The {what} of {pattern} cannot be {value!r}; choose one of {', '.join(allowed)}."
            )


def _shape(text: str, whole: str) -> Shape:
    match = re.fullmatch(r"\s*(\d{1,6})x(\d{1,6})x(\d{1,6})\s*", text)
    if match is None:
        raise ExportError(
            f"The sizes {whole!r} are not FRAMESxHEIGHTxWIDTH of the latent; write for example 4x12x12, "
            "4x12x12,7x12x16 or 1x4x4..13x32x32."
        )
    frames, height, width = (int(size) for size in match.groups())
    return frames, height, width
