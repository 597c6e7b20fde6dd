"""Temporal Token Merge."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

PAIRS = "pairs"
SIMILAR = "similar"


class PocketVideoTemporalTokenMerge(io.ComfyNode):
    """Attends over fewer tokens in the early steps, where a video is still coarse."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="PocketVideoTemporalTokenMerge",
            display_name="Temporal Token Merge",
            category="PocketVideo/acceleration",
            description="Merges tokens of consecutive latent frames during attention, in the first part "
            "of the steps: sampling gets faster, and some motion may be lost. Bypass it to compare.",
            search_aliases=["token merging", "tome", "tdtm", "speed", "faster video", "accelerate"],
            inputs=[
                io.Model.Input("model", tooltip=_MODEL),
                io.DynamicCombo.Input(
                    "mode",
                    options=[
                        io.DynamicCombo.Option(PAIRS, []),
                        io.DynamicCombo.Option(SIMILAR, _similar_inputs()),
                    ],
                    tooltip="pairs: every frame pair is merged whole, which is fastest. similar: only tokens "
                    "that hardly change from one frame to the next, so that motion survives.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where in the schedule merging begins; 0 is the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Where merging ends. Later steps draw details and should keep all their tokens.",
                ),
                io.Boolean.Input(
                    "keep_first_frame",
                    default=False,
                    optional=True,
                    advanced=True,
                    tooltip="Never merge the first latent frame, which is a single picture in most video "
                    "VAEs while the others stand for 4 or 8. Given frames are never merged, whatever stands "
                    "here.",
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="MODEL", tooltip="The model that merges; the one that came in is unchanged."
                )
            ],
            hidden=[io.Hidden.unique_id],
            # What a run shows goes to the node of this id, so that another node must not get this one's
            # output out of ComfyUI's cache, which overlooks the id that a node of this kind asks for.
            not_idempotent=True,
        )

    @classmethod
    def validate_inputs(
        cls,
        start_percent: float | None = None,
        end_percent: float | None = None,
        mode: Any = None,
    ) -> bool | str:
        """Refuse a window that no step can lie in. ComfyUI always passes a dynamic input such as `mode`."""
        if start_percent is not None and end_percent is not None and start_percent >= end_percent:
            return "start_percent must be less than end_percent, or nothing is merged."
        return True

    @classmethod
    def execute(
        cls,
        model: Any,
        mode: dict[str, Any],
        start_percent: float,
        end_percent: float,
        keep_first_frame: bool = False,
    ) -> io.NodeOutput:
        from ..pocketvideo.acceleration.merged_attention import MergeRule
        from .host.merging import MergeSettings, attach
        from .host.progress import show_text

        kind = mode["mode"]
        if kind not in (PAIRS, SIMILAR):
            raise ValueError(f"Temporal Token Merge knows no mode {kind!r}: choose {PAIRS} or {SIMILAR}.")
        similar = kind == SIMILAR
        rule = MergeRule(similar, mode["threshold"], mode["share"]) if similar else MergeRule()
        settings = MergeSettings(rule, start_percent, end_percent, keep_first_frame)
        node_id = cls.hidden.unique_id
        return io.NodeOutput(attach(model, settings, lambda text: show_text(node_id, text)))


_MODEL = (
    "A video model, after its LoRAs: Wan, LTX-Video, HunyuanVideo, CogVideoX, Mochi, Cosmos or PocketVideo."
)


def _similar_inputs() -> list[io.Input]:
    return [
        io.Float.Input(
            "threshold",
            default=-1.0,
            min=-1.0,
            max=1.0,
            step=0.01,
            tooltip="Merge tokens whose cosine similarity is at least this. -1 leaves the choice to share.",
        ),
        io.Float.Input(
            "share",
            default=0.25,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="Merge at most this share of all token pairs, the most similar first.",
        ),
    ]
