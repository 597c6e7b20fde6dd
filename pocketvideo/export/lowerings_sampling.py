"""The lowerings of samplers: KSampler, and SamplerCustomAdvanced with the nodes that it is put together from.

Which words the device's user may edit is decided here, because only a sampler knows which prompt is the
positive one.
"""

from typing import Any

from .lowering import Reader, lowering
from .lowerings import MAX_LATENT, MAX_PROMPT
from .plan import Lookups, PlanBuilder
from .prompt import MAX_INTEGER
from .values import Conditioning, Guider, Latent, Model, Noise, Sampler, Sigmas

SAMPLERS = ("euler",)
SCHEDULERS = (
    "simple",
    "sgm_uniform",
    "karras",
    "exponential",
    "ddim_uniform",
    "beta",
    "normal",
    "linear_quadratic",
    "kl_optimal",
)
MAX_STEPS = 200
MAX_GUIDANCE = 100.0
MAX_MOTION = 20.0
MIN_DENOISE = 0.01
PHOTO = "inputs/photo.png"


@lowering("KSampler")
def lower_ksampler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """KSampler."""
    model = node.link("model", Model)
    guider = Guider(
        model,
        node.link("positive", Conditioning),
        node.link("negative", Conditioning),
        node.number("cfg", 0.0, MAX_GUIDANCE),
    )
    sampler = Sampler(node.choice("sampler_name", SAMPLERS))
    sigmas = Sigmas(
        model,
        node.choice("scheduler", SCHEDULERS),
        node.integer("steps", 1, MAX_STEPS),
        node.number("denoise", MIN_DENOISE, 1.0, 1.0),
    )
    noise = Noise(node.integer("seed", 0, MAX_INTEGER))
    return (
        _denoise(
            node, build, guider, sampler, sigmas, noise, node.link("latent_image", Latent), "latent_image"
        ),
    )


@lowering("SamplerCustomAdvanced")
def lower_custom_advanced(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """SamplerCustomAdvanced, first output."""
    noise, guider = node.link("noise", Noise), node.link("guider", Guider)
    sampler, sigmas = node.link("sampler", Sampler), node.link("sigmas", Sigmas)
    return (
        _denoise(
            node, build, guider, sampler, sigmas, noise, node.link("latent_image", Latent), "latent_image"
        ),
    )


@lowering("SamplerCustom")
def lower_custom(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent]:
    """SamplerCustom, first output; a device always begins with noise."""
    if not node.switch("add_noise"):
        node.fail("add_noise", "is off, and a device begins with noise; switch it on")
    guider = Guider(
        node.link("model", Model),
        node.link("positive", Conditioning),
        node.link("negative", Conditioning),
        node.number("cfg", 0.0, MAX_GUIDANCE),
    )
    sampler, sigmas = node.link("sampler", Sampler), node.link("sigmas", Sigmas)
    noise = Noise(node.integer("noise_seed", 0, MAX_INTEGER))
    return (
        _denoise(
            node, build, guider, sampler, sigmas, noise, node.link("latent_image", Latent), "latent_image"
        ),
    )


@lowering("KSamplerSelect")
def lower_sampler_select(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sampler]:
    """KSamplerSelect."""
    return (Sampler(node.choice("sampler_name", SAMPLERS)),)


@lowering("BasicScheduler")
def lower_scheduler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sigmas]:
    """BasicScheduler."""
    return (
        Sigmas(
            node.link("model", Model),
            node.choice("scheduler", SCHEDULERS),
            node.integer("steps", 1, MAX_STEPS),
            node.number("denoise", MIN_DENOISE, 1.0, 1.0),
        ),
    )


@lowering("CFGGuider")
def lower_cfg_guider(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Guider]:
    """CFGGuider."""
    return (
        Guider(
            node.link("model", Model),
            node.link("positive", Conditioning),
            node.link("negative", Conditioning),
            node.number("cfg", 0.0, MAX_GUIDANCE),
        ),
    )


@lowering("BasicGuider")
def lower_basic_guider(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Guider]:
    """BasicGuider: no negative prompt."""
    return (Guider(node.link("model", Model), node.link("conditioning", Conditioning), None, 1.0),)


@lowering("RandomNoise")
def lower_random_noise(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Noise]:
    """RandomNoise."""
    return (Noise(node.integer("noise_seed", 0, MAX_INTEGER)),)


def _denoise(
    node: Reader,
    build: PlanBuilder,
    guider: Guider,
    sampler: Sampler,
    sigmas: Sigmas,
    noise: Noise,
    latent: Latent,
    latent_input: str,
) -> Latent:
    """Emit noise, text, first frame and the sampling op, and declare what the device's user may edit."""
    model = guider.model
    if latent.sampled is not None:
        node.fail(
            latent_input,
            "is a sampled latent, and a device samples once; link an Empty Pocket Video Latent to it",
        )
    if sigmas.model != model:
        node.fail(
            "sigmas",
            f"is made for {sigmas.model.name} but the guider is {model.name}; use one model for both",
        )
    shape = _shape(node, model, latent, latent_input)

    seed = build.input("seed", type="seed", label="Seed", default=str(noise.seed))
    positive = _encode(node, build, guider.positive, model, "prompt", "Prompt")
    negative = None
    if guider.negative is not None:
        negative = positive
        if guider.negative.text != guider.positive.text:
            negative = _encode(node, build, guider.negative, model, "negative_prompt", "Negative prompt")
        if guider.negative.motion != guider.positive.motion:
            node.fail(
                "negative",
                "has another motion score than the positive; link both to one Pocket Image to Video",
            )
    first_frame = None
    if latent.first_frame is not None and latent.first_frame.source is not None:
        if latent.vae is None or latent.vae.name != model.name:
            node.fail(latent_input, f"is encoded by another model than {model.name}; use one model for both")
        build.photos[PHOTO] = latent.first_frame.source
        photo = build.input(
            "photo", type="image", label="Photo", width=latent.width, height=latent.height, default=PHOTO
        )
        first_frame = build.op(
            "first_frame",
            "encode_image",
            component="vae_encoder",
            image=photo,
            width=latent.width,
            height=latent.height,
        )
    steps = build.input(
        "steps", type="integer", label="Steps", default=sigmas.steps, minimum=1, maximum=MAX_STEPS
    )
    guidance: Any = guider.guidance
    if negative is not None:
        guidance = build.input(
            "guidance",
            type="number",
            label="Guidance",
            default=guider.guidance,
            minimum=0.0,
            maximum=MAX_GUIDANCE,
        )
    chosen_motion = guider.positive.motion
    motion: Any = model.geometry.motion if chosen_motion is None else chosen_motion
    if chosen_motion is not None:
        motion = build.input(
            "motion", type="number", label="Motion", default=chosen_motion, minimum=0.0, maximum=MAX_MOTION
        )
    leap = {} if sampler.leap is None else {"leap": dict(sampler.leap)}
    sampled = build.op(
        "latent",
        "denoise",
        component="denoiser",
        noise=build.op("noise", "noise", seed=seed, shape=shape),
        positive=positive,
        negative=negative,
        guidance=guidance,
        first_frame=first_frame,
        motion=motion,
        sampler=sampler.name,
        schedule={
            "name": sigmas.scheduler,
            "steps": steps,
            "shift": model.geometry.shift,
            "denoise": sigmas.denoise,
            "multiplier": 1.0,
        },
        **leap,
    )
    return Latent(latent.width, latent.height, latent.frames, sampled=sampled, model=model)


def _encode(
    node: Reader, build: PlanBuilder, prompt: Conditioning, model: Model, name: str, label: str
) -> Any:
    if prompt.clip.name != model.name:
        node.fail(
            "model",
            f"is {model.name} but its prompts are encoded by {prompt.clip.name}; use one model for both",
        )
    text = build.input(name, type="text", label=label, default=prompt.text, max_length=MAX_PROMPT)
    return build.op(name, "encode_text", component="text_encoder", text=text)


def _shape(node: Reader, model: Model, latent: Latent, latent_input: str) -> list[int]:
    geometry = model.geometry
    for side, value in (("width", latent.width), ("height", latent.height)):
        if value % geometry.spatial:
            node.fail(
                latent_input,
                f"has a {side} of {value}; set it to a multiple of {geometry.spatial} where it is made",
            )
    if (latent.frames - 1) % geometry.temporal:
        node.fail(
            latent_input,
            f"has a length of {latent.frames}; set it to a multiple of {geometry.temporal} plus 1 "
            "where it is made",
        )
    shape = geometry.latent_shape(latent.width, latent.height, latent.frames)
    elements = shape[1] * shape[2] * shape[3] * shape[4]
    if elements > MAX_LATENT:
        node.fail(
            latent_input, f"has {elements} values, more than the {MAX_LATENT} a device takes; make it smaller"
        )
    return shape
