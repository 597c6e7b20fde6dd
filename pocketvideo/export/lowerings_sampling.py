"""The lowerings of samplers, guiders and noise; what a sampler becomes is in sampling.py."""

from .lowering import Reader, lowering
from .lowerings_schedules import named_sigmas
from .plan import Lookups, PlanBuilder
from .prompt import MAX_INTEGER
from .sampling import MAX_GUIDANCE, MAX_STEPS, SAMPLERS, denoise
from .values import Conditioning, Guider, Latent, Model, Noise, Sampler, Sigmas

SWITCH = ("enable", "disable")
# ComfyUI's KSampler leaves the last sigma before 0 out for these; BasicScheduler does not.
DROP_PENULTIMATE = ("dpm_2", "uni_pc", "uni_pc_bh2")
MAX_STEP = 10_000
# ComfyUI's samplers that draw noise at every step.
NOISY = ("ddpm", "lcm", "seeds_2", "seeds_3", "sa_solver", "sa_solver_pece")
NOISY_PARTS = ("ancestral", "sde")


@lowering("KSampler")
def lower_ksampler(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent, ...]:
    """KSampler."""
    guider, sampler, sigmas = _read_ksampler(node)
    noise = Noise(node.integer("seed", 0, MAX_INTEGER))
    return denoise(node, build, guider, sampler, sigmas, noise, node.link("latent_image", Latent))[:1]


@lowering("KSamplerAdvanced")
def lower_ksampler_advanced(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent, ...]:
    """KSamplerAdvanced: the steps from one to another of a schedule, with or without noise at either end."""
    guider, sampler, sigmas = _read_ksampler(node)
    latent = node.link("latent_image", Latent)
    adds = node.choice("add_noise", SWITCH) == "enable"
    noise = Noise(node.integer("noise_seed", 0, MAX_INTEGER) if adds else None)
    start, end = node.integer("start_at_step", 0, MAX_STEP), node.integer("end_at_step", 0, MAX_STEP)
    leftover = node.choice("return_with_leftover_noise", SWITCH) == "enable"
    if end <= start:
        return (latent,)  # ComfyUI gives the latent back, too
    if end < MAX_STEPS:
        sigmas = sigmas.part(start, end, finish=not leftover)
    elif start:
        sigmas = sigmas.part(start, None)
    return denoise(node, build, guider, sampler, sigmas, noise, latent)[:1]


@lowering("SamplerCustomAdvanced")
def lower_custom_advanced(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent, ...]:
    """SamplerCustomAdvanced."""
    noise, guider = node.link("noise", Noise), node.link("guider", Guider)
    sampler, sigmas = node.link("sampler", Sampler), node.link("sigmas", Sigmas)
    return denoise(node, build, guider, sampler, sigmas, noise, node.link("latent_image", Latent))


@lowering("SamplerCustom")
def lower_custom(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Latent, ...]:
    """SamplerCustom."""
    guider = _read_guider(node)
    sampler, sigmas = node.link("sampler", Sampler), node.link("sigmas", Sigmas)
    seed = node.integer("noise_seed", 0, MAX_INTEGER) if node.switch("add_noise") else None
    return denoise(node, build, guider, sampler, sigmas, Noise(seed), node.link("latent_image", Latent))


@lowering("KSamplerSelect")
def lower_sampler_select(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Sampler]:
    """KSamplerSelect."""
    return (Sampler(_sampler_name(node)),)


@lowering("CFGGuider")
def lower_cfg_guider(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Guider]:
    """CFGGuider."""
    return (_read_guider(node),)


@lowering("BasicGuider")
def lower_basic_guider(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Guider]:
    """BasicGuider: no negative prompt."""
    return (Guider(node.link("model", Model), node.link("conditioning", Conditioning), None, 1.0),)


@lowering("RandomNoise")
def lower_random_noise(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Noise]:
    """RandomNoise."""
    return (Noise(node.integer("noise_seed", 0, MAX_INTEGER)),)


@lowering("DisableNoise")
def lower_disable_noise(node: Reader, build: PlanBuilder, lookups: Lookups) -> tuple[Noise]:
    """DisableNoise: noise of zeros, for a latent that still holds its own."""
    return (Noise(None),)


def _read_guider(node: Reader) -> Guider:
    return Guider(
        node.link("model", Model),
        node.link("positive", Conditioning),
        node.link("negative", Conditioning),
        node.number("cfg", 0.0, MAX_GUIDANCE),
    )


def _read_ksampler(node: Reader) -> tuple[Guider, Sampler, Sigmas]:
    """The widgets that KSampler and KSamplerAdvanced share; the latter has no denoise."""
    guider, name = _read_guider(node), _sampler_name(node)
    return guider, Sampler(name), named_sigmas(node, drop_penultimate=name in DROP_PENULTIMATE)


def _sampler_name(node: Reader) -> str:
    """A sampler that a device has; of those that draw noise on their way the error says so."""
    name = node.node.inputs.get("sampler_name")
    if isinstance(name, str) and (name in NOISY or any(part in name for part in NOISY_PARTS)):
        node.fail(
            "sampler_name",
            f"is {name[:40]!r}, which draws noise on its way, and a device draws it at the beginning alone; "
            f"set it to {' or '.join(SAMPLERS)}",
        )
    return node.choice("sampler_name", SAMPLERS)
