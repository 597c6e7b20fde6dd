"""The sizes of the graphs' named axes that a plan asks for: what memory is reckoned at."""

from .plan import Plan


def plan_sizes(plan: Plan, length: int) -> dict[str, int]:
    """Sizes of the latent, of a batch with guidance, and of prompts of that many tokens."""
    noise = next(op for op in plan.ops if op["op"] == "noise")
    guided = any(op["op"] == "denoise" and op["negative"] is not None for op in plan.ops)
    _, _, frames, height, width = noise["shape"]
    return {
        "batch": 2 if guided else 1,
        "frames": frames,
        "height": height,
        "width": width,
        "length": length,
    }


def at_once(plan: Plan, name: str, sizes: dict[str, int]) -> dict[str, int]:
    """The sizes that a component sees at once: those of the latent, or of a tile of it."""
    for op in plan.ops:
        if op["op"] == "decode" and name in (op["component"], op.get("next")) and "tiles" in op:
            tile = dict(zip(("frames", "height", "width"), op["tiles"]["size"], strict=True))
            return sizes | {axis: min(sizes[axis], size) for axis, size in tile.items()}
    return sizes
