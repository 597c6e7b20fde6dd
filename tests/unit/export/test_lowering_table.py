"""Which node types a device can run, against the list of issue 4: the list is closed, and it is this one."""

from comfyui_pocketvideo.pocketvideo.export import compiler
from comfyui_pocketvideo.pocketvideo.export.lowering import REGISTRY, REPLACEMENTS

# Node types of the issue whose lowerings are not there yet; whoever registers one takes it off this list.
COMING: set[str] = set()
LOADERS = {
    "CLIPLoader",
    "CheckpointLoaderSimple",
    "LoadImage",
    "LoraLoaderModelOnly",
    "PocketVideoExampleImage",
    "PocketVideoModelLoader",
    "UNETLoader",
    "VAELoader",
}
CONDITIONING = {"CLIPTextEncode", "ConditioningZeroOut", "LTXVConditioning"}
LATENTS = {
    "EmptyHunyuanLatentVideo",
    "EmptyLTXVLatentVideo",
    "LTXVImgToVideo",
    "PocketVideoEmptyLatent",
    "PocketVideoImageToVideo",
    "VAEEncode",
    "Wan22ImageToVideoLatent",
    "WanImageToVideo",
}
SAMPLING = {
    "BasicGuider",
    "BasicScheduler",
    "CFGGuider",
    "DisableNoise",
    "KSampler",
    "KSamplerAdvanced",
    "KSamplerSelect",
    "LTXVScheduler",
    "ManualSigmas",
    "ModelSamplingAuraFlow",
    "ModelSamplingSD3",
    "PocketVideoFewStepSampler",
    "PocketVideoFewStepSchedule",
    "PocketVideoHighLowSplit",
    "PocketVideoLeap",
    "PocketVideoLeapReport",
    "PocketVideoTemporalTokenMerge",
    "RandomNoise",
    "SamplerCustom",
    "SamplerCustomAdvanced",
    "SplitSigmas",
}
ENDS = {"PocketVideoRunOnDevice", "PocketVideoSendToDevice", "SaveAnimatedWEBP", "SaveVideo"}
FRAMES = {"CreateVideo", "ImageScale", "VAEDecode", "VAEDecodeTiled"}
VALUES = {
    "PrimitiveBoolean",
    "PrimitiveFloat",
    "PrimitiveInt",
    "PrimitiveString",
    "PrimitiveStringMultiline",
    "Reroute",
}
ALL = LOADERS | CONDITIONING | LATENTS | SAMPLING | ENDS | FRAMES | VALUES


def test_the_registered_node_types_are_those_of_the_issue():
    assert set(compiler.supported_class_types()) == ALL - COMING


def test_a_plan_ends_where_a_video_is_saved_or_sent():
    assert {name for name, entry in REGISTRY.items() if entry.output} == ENDS


def test_every_lowering_says_what_it_lowers():
    assert all(entry.lower.__doc__ for entry in REGISTRY.values())


def test_nothing_that_a_device_can_run_is_advised_against():
    assert not REPLACEMENTS.keys() & REGISTRY.keys()
