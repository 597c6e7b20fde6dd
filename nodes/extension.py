"""The list of nodes, and what is set up once when ComfyUI loads the pack."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io
from server import PromptServer

from .host.folders import register_model_folder
from .host.routes import add_routes


class PocketVideoExtension(ComfyExtension):
    """ComfyUI's view of the pack."""

    async def on_load(self) -> None:
        """Register the model folder and the pairing routes."""
        register_model_folder()
        if PromptServer.instance is not None:
            add_routes(PromptServer.instance.routes)

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """Every node of the pack."""
        from .compare_videos import PocketVideoCompareVideos
        from .empty_latent import PocketVideoEmptyLatent
        from .example_image import PocketVideoExampleImage
        from .few_step_sampler import PocketVideoFewStepSampler
        from .few_step_schedule import PocketVideoFewStepSchedule
        from .few_step_split import PocketVideoHighLowSplit
        from .image_to_video import PocketVideoImageToVideo
        from .leap import PocketVideoLeap
        from .leap_report import PocketVideoLeapReport
        from .loader import PocketVideoModelLoader
        from .run_on_device import PocketVideoRunOnDevice
        from .send_to_device import PocketVideoSendToDevice
        from .temporal_token_merge import PocketVideoTemporalTokenMerge

        return [
            PocketVideoModelLoader,
            PocketVideoEmptyLatent,
            PocketVideoImageToVideo,
            PocketVideoExampleImage,
            PocketVideoSendToDevice,
            PocketVideoRunOnDevice,
            PocketVideoLeap,
            PocketVideoLeapReport,
            PocketVideoTemporalTokenMerge,
            PocketVideoFewStepSchedule,
            PocketVideoFewStepSampler,
            PocketVideoHighLowSplit,
            PocketVideoCompareVideos,
        ]
