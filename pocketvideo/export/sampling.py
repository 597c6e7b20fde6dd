"""What every sampler node becomes: the ops that a device samples with, and what its user may edit.

Which words may be edited is decided here, because only a sampler knows which prompt is the positive one. A
second sampler of the same workflow shares an input where its value is the same, and gets one of its own
("Seed 2") where it is not.
"""

from typing import Any

from ..few_step import RENOISE
from .editing import editable, encode_photo
from .given import given_field
from .lowering import Reader
from .lowerings_merge import merge_field
from .plan import FIRST_DENOISER, PlanBuilder, Value
from .values import Conditioning, Guider, Latent, Model, Noise, Sampler, Sigmas

MAX_PROMPT = 2000
MAX_STEPS = 200
MAX_GUIDANCE = 100.0
MAX_MOTION = 20.0
MAX_LATENT = 2**22
# As they are called in ComfyUI and in mobile_runtime/engine/samplers.py.
SAMPLERS = (
    "euler",
    "heun",
    "dpm_2",
    "dpmpp_2m",
    "res_multistep",
    "gradient_estimation",
    "ddim",
    "uni_pc",
    "uni_pc_bh2",
)
# e to the power of more drowns float32's resolution, and the stretched sigmas with it.
MAX_LTXV_SHIFT = 10.0
# They extrapolate from their second step on, so that one step would give the noise back.
TWO_STEPS = ("uni_pc", "uni_pc_bh2")


def denoise(
    node: Reader,
    build: PlanBuilder,
    guider: Guider,
    sampler: Sampler,
    sigmas: Sigmas,
    noise: Noise,
    latent: Latent,
) -> tuple[Latent, ...]:
    """Emit noise, text, first frame and the sampling op; the node's output.

    Where what the sampler says last of the clean video is what it ends with, that is the node's second output
    ("denoised_output"). The latent comes from the node's input `latent_image`.
    """
    model = guider.model
    shape = _shape(node, model, latent)
    if noise.seed is None and latent.model is None:
        node.fail(
            "latent_image", "holds no noise, and none is added; add noise, so that there is some to remove"
        )
    seed = None
    if noise.seed is not None:
        seed = editable(build, "seed", "Seed", type="seed", default=str(noise.seed))
    positive = encode_prompt(node, build, guider.positive, model, "prompt", "Prompt")
    negative = _negative(node, build, guider, positive)
    optional: dict[str, Any] = {}
    first_frame = None
    if latent.sampled is not None:
        _check_kind(node, model, latent)
        optional["latent"] = latent.sampled
        if latent.held:
            optional["keep_first_frame"] = True
    elif latent.first_frame is not None:
        if latent.vae is None or latent.vae.name != model.name:
            node.fail(
                "latent_image", f"is encoded by another model than {model.name}; use one model for both"
            )
        first_frame = encode_photo(
            node, "latent_image", build, latent.first_frame, latent.width, latent.height, "first_frame"
        )
    schedule = _schedule(node, build, model, sampler, sigmas)
    if model.geometry.frame_rate is not None:
        optional["frame_rate"] = _frame_rate(node, guider, model.geometry.frame_rate)
    if sampler.leap is not None:
        optional["leap"] = dict(sampler.leap)
    if sampler.name == RENOISE:
        optional["renoise_seed"] = "0" if seed is None else seed
    if model.given:
        optional["given"] = given_field(node, build, guider, latent)
    elif guider.positive.start is not None:
        node.fail(
            "positive",
            f"begins with a picture, which {model.name} does not read in this file; load its image-to-video "
            "model, or unlink the start image",
        )
    optional |= merge_field(model, shape, latent.held or first_frame is not None)
    component = build.denoiser(model.own if model.file is None else model.file)
    if "merge" in optional and component != FIRST_DENOISER:
        node.fail(
            "model",
            "merges tokens and is the second model of this workflow, and a device merges in the first alone; "
            "remove Temporal Token Merge from it",
        )
    guidance, motion = _guidance(build, guider), _motion(build, guider)
    sampled = build.op(
        "latent",
        "denoise",
        component=component,
        noise=None if seed is None else build.op("noise", "noise", seed=seed, shape=shape),
        positive=positive,
        negative=negative,
        guidance=guidance,
        first_frame=first_frame,
        motion=motion,
        sampler=sampler.name,
        schedule=schedule,
        **optional,
    )
    made = Latent(
        latent.width,
        latent.height,
        latent.frames,
        sampled=sampled,
        model=model,
        held=latent.held or latent.first_frame is not None,
    )
    to_zero = sigmas.to_zero and sigmas.until is None and (sigmas.end is None or sigmas.finish)
    return (made, made) if to_zero and sampler.name not in TWO_STEPS else (made,)


def encode_prompt(
    node: Reader, build: PlanBuilder, prompt: Conditioning, model: Model, name: str, label: str
) -> Value:
    """The op that encodes a prompt which the device's user may edit."""
    if prompt.clip.name != (model.reads or model.name):
        node.fail(
            "model",
            f"is {model.name} but its prompts are encoded by {prompt.clip.name}; use one model for both",
        )
    if prompt.zero:
        features = build.op(f"{name}_text", "encode_text", component="text_encoder", text=prompt.text)
        return _zeros(build, features, model, name)
    text = editable(build, name, label, type="text", default=prompt.text, max_length=MAX_PROMPT)
    return build.op(name, "encode_text", component="text_encoder", text=text)


def _negative(node: Reader, build: PlanBuilder, guider: Guider, positive: Value) -> Value:
    wanted, model = guider.negative, guider.model
    if wanted is None:
        return None
    if wanted.motion != guider.positive.motion:
        node.fail(
            "negative",
            "has another motion score than the positive; link both to one Pocket Image to Video",
        )
    same = wanted.text == guider.positive.text
    if wanted.zero and (same or model.geometry.zero_is_padding):
        # Zeros in the shape of the positive's features are all that is left of the text.
        return positive if guider.positive.zero else _zeros(build, positive, model, "negative_prompt")
    if same and wanted.zero == guider.positive.zero:
        return positive
    return encode_prompt(node, build, wanted, model, "negative_prompt", "Negative prompt")


def _zeros(build: PlanBuilder, features: Value, model: Model, name: str) -> Value:
    return build.op(f"{name}_zero", "zero_text", text=features, keep_mask=not model.geometry.zero_is_padding)


def _guidance(build: PlanBuilder, guider: Guider) -> Value:
    if guider.negative is None:
        return guider.guidance
    return editable(
        build,
        "guidance",
        "Guidance",
        type="number",
        default=guider.guidance,
        minimum=0.0,
        maximum=MAX_GUIDANCE,
    )


def _frame_rate(node: Reader, guider: Guider, default: float) -> float:
    """What the network is told of the video's speed, by LTXVConditioning or by ComfyUI's default."""
    rates = {guider.positive.frame_rate, (guider.negative or guider.positive).frame_rate}
    if len(rates) > 1:
        node.fail("negative", "has another frame rate than the positive; link both to one LTXVConditioning")
    return rates.pop() or default


def _motion(build: PlanBuilder, guider: Guider) -> Value:
    chosen = guider.positive.motion
    if chosen is None:
        return guider.model.geometry.motion
    return editable(build, "motion", "Motion", type="number", default=chosen, minimum=0.0, maximum=MAX_MOTION)


def _schedule(
    node: Reader, build: PlanBuilder, model: Model, sampler: Sampler, sigmas: Sigmas
) -> dict[str, Any]:
    """The op's `schedule`. What the network is told of a sigma is the sampled model's matter."""
    first, last = sigmas.start, sigmas.end
    if last is not None and last <= first:
        node.fail("sigmas", "holds no step; split the schedule between its first step and its last")
    steps = sigmas.steps if last is None else min(sigmas.steps, last)
    least = 2 if sampler.name in TWO_STEPS else 1
    if 0 < steps - first < least:
        node.fail(
            "sampler_name", f"is {sampler.name}, which needs 2 steps and has 1; use more steps or euler"
        )
    schedule = dict(sigmas.schedule)
    if sigmas.editable:
        schedule["steps"] = editable(
            build,
            "steps",
            "Steps",
            type="integer",
            default=sigmas.steps,
            minimum=max(least, sigmas.least),
            maximum=MAX_STEPS,
        )
    if schedule["name"] == "ltxv":
        schedule["tokens"] = _ltxv_tokens(node, model, sigmas)
    schedule["multiplier"] = model.geometry.multiplier
    if first:
        schedule["start"] = first
    if last is not None:
        schedule["end"] = last
    if sigmas.finish:
        schedule["finish"] = True
    if sigmas.until is not None:
        schedule["until"] = sigmas.until
    return schedule


def _ltxv_tokens(node: Reader, model: Model, sigmas: Sigmas) -> int:
    """The latent cells by which LTXVScheduler reckons its shift, which has to stay one that float32 holds."""
    tokens: int = sigmas.schedule["tokens"]
    if sigmas.latent is not None:
        _, _, frames, height, width = _shape(node, model, sigmas.latent)
        tokens = frames * height * width
    base, widest = sigmas.schedule["base_shift"], sigmas.schedule["max_shift"]
    shift = base + (widest - base) * (tokens - 1024) / (4096 - 1024)
    if abs(shift) > MAX_LTXV_SHIFT:
        node.fail(
            "sigmas",
            f"are shifted by {shift:.3g}, which leaves no steps between; lower max_shift of LTXVScheduler",
        )
    return tokens


def _check_kind(node: Reader, model: Model, latent: Latent) -> None:
    """A latent that is not empty has to be of the sampled model's kind: two experts may share one."""
    made = latent.model or latent.vae
    assert made is not None
    theirs, ours = made.geometry, model.geometry
    if (theirs.channels, theirs.spatial, theirs.temporal) != (ours.channels, ours.spatial, ours.temporal):
        node.fail(
            "latent_image",
            f"comes from {made.name}, whose latents {model.name} does not understand; use one model for both",
        )


def _shape(node: Reader, model: Model, latent: Latent) -> list[int]:
    geometry = model.geometry
    for side, value in (("width", latent.width), ("height", latent.height)):
        if value % geometry.spatial:
            node.fail(
                "latent_image",
                f"has a {side} of {value}; set it to a multiple of {geometry.spatial} where it is made",
            )
    if (latent.frames - 1) % geometry.temporal:
        node.fail(
            "latent_image",
            f"has a length of {latent.frames}; set it to a multiple of {geometry.temporal} plus 1 "
            "where it is made",
        )
    shape = geometry.latent_shape(latent.width, latent.height, latent.frames)
    elements = shape[1] * shape[2] * shape[3] * shape[4]
    if elements > MAX_LATENT:
        node.fail(
            "latent_image",
            f"has {elements} values, more than the {MAX_LATENT} a device takes; make it smaller",
        )
    return shape
