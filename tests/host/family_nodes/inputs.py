"""Random text features and latents of any size, given frames, and facts about a latent."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import comfy.clip_vision
import node_helpers
import torch
from comfy_api.latest import io

CATEGORY = "PocketVideo/tests"
COUNT_MAX = 65536


class FamilyConditioning(io.ComfyNode):
    """Text features drawn from the text's hash; no text encoder is small enough to make one up."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyConditioning",
            category=CATEGORY,
            inputs=[
                io.String.Input("text"),
                io.Int.Input("tokens", min=1, max=COUNT_MAX),
                io.Int.Input("dim", min=1, max=COUNT_MAX),
                io.Int.Input("pooled_dim", default=0, min=0, max=COUNT_MAX),
                io.Int.Input(
                    "masked_tokens", default=-1, min=-1, max=COUNT_MAX, tooltip="-1: no mask at all."
                ),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, text: str, tokens: int, dim: int, pooled_dim: int, masked_tokens: int) -> io.NodeOutput:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        generator = torch.Generator().manual_seed(seed)
        features = torch.randn((1, tokens, dim), generator=generator)
        options: dict[str, Any] = {}
        if pooled_dim:
            options["pooled_output"] = torch.randn((1, pooled_dim), generator=generator)
        if masked_tokens >= 0:
            mask = torch.ones((1, tokens), dtype=torch.long)
            mask[:, tokens - masked_tokens :] = 0
            options["attention_mask"] = mask
        return io.NodeOutput([[features, options]])


class FamilyShuffledText(io.ComfyNode):
    """The same text features in another order, which attention without positions cannot tell apart."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyShuffledText",
            category=CATEGORY,
            inputs=[io.Conditioning.Input("conditioning")],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, conditioning: Any) -> io.NodeOutput:
        generator = torch.Generator().manual_seed(34)
        return io.NodeOutput(
            [
                [features[:, torch.randperm(features.shape[1], generator=generator)], options]
                for features, options in conditioning
            ]
        )


class FamilyVisionFeatures(io.ComfyNode):
    """Features of a picture, as many and as wide as CLIP ViT-H's."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyVisionFeatures", category=CATEGORY, outputs=[io.ClipVisionOutput.Output()]
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        vision = comfy.clip_vision.Output()
        features = torch.randn((1, 257, 1280), generator=torch.Generator().manual_seed(33))
        vision["penultimate_hidden_states"] = features
        return io.NodeOutput(vision)


class FamilyLatent(io.ComfyNode):
    """An empty latent of any shape; `frames` 0 makes a picture's, without the axis of time."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyLatent",
            category=CATEGORY,
            inputs=[
                io.Int.Input("channels", min=1, max=COUNT_MAX),
                io.Int.Input("frames", min=0, max=COUNT_MAX),
                io.Int.Input("height", min=1, max=COUNT_MAX),
                io.Int.Input("width", min=1, max=COUNT_MAX),
                io.Int.Input("batch_size", default=1, min=1, max=64),
            ],
            outputs=[io.Latent.Output()],
        )

    @classmethod
    def execute(cls, channels: int, frames: int, height: int, width: int, batch_size: int) -> io.NodeOutput:
        time = [frames] if frames else []
        return io.NodeOutput({"samples": torch.zeros((batch_size, channels, *time, height, width))})


class FamilyGivenFrames(io.ComfyNode):
    """Random clean frames in place of the first ones, with the noise mask that keeps them.

    For models whose own node needs a VAE that no file can make small (Wan 2.2 5B, Cosmos-Predict2).
    """

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyGivenFrames",
            category=CATEGORY,
            inputs=[io.Latent.Input("latent"), io.Int.Input("count", default=1, min=1, max=COUNT_MAX)],
            outputs=[io.Latent.Output()],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any], count: int) -> io.NodeOutput:
        samples = latent["samples"].clone()
        given = samples[:, :, :count]
        generator = torch.Generator().manual_seed(31)
        given.copy_(torch.randn(given.shape, generator=generator))
        mask = torch.ones((samples.shape[0], 1, *samples.shape[2:]))
        mask[:, :, :count] = 0
        return io.NodeOutput({**latent, "samples": samples, "noise_mask": mask})


class FamilyReferenceLatent(io.ComfyNode):
    """A random reference picture beside the video, or with `in_context` one in the video's own sequence."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyReferenceLatent",
            category=CATEGORY,
            inputs=[
                io.Conditioning.Input("conditioning"),
                io.Latent.Input("latent", tooltip="Says the size."),
                io.Boolean.Input("in_context", default=False),
            ],
            outputs=[io.Conditioning.Output()],
        )

    @classmethod
    def execute(cls, conditioning: Any, latent: dict[str, Any], in_context: bool) -> io.NodeOutput:
        shape = latent["samples"][:1, :, :1].shape
        picture = torch.randn(shape, generator=torch.Generator().manual_seed(32))
        key = "context_latents" if in_context else "reference_latents"
        return io.NodeOutput(
            node_helpers.conditioning_set_values(conditioning, {key: [picture]}, append=True)
        )


class FamilyLatentFacts(io.ComfyNode):
    """Shape, mean, standard deviation, finiteness and hash of a latent, as JSON."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FamilyLatentFacts",
            category=CATEGORY,
            is_output_node=True,
            inputs=[io.Latent.Input("latent")],
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls, latent: dict[str, Any]) -> io.NodeOutput:
        samples = latent["samples"].float().contiguous()
        facts = {
            "shape": list(samples.shape),
            "mean": samples.mean().item(),
            "std": samples.std().item(),
            "finite": bool(torch.isfinite(samples).all()),
            "sha256": hashlib.sha256(samples.numpy().tobytes()).hexdigest(),
        }
        return io.NodeOutput(json.dumps(facts), ui={"facts": [facts]})
