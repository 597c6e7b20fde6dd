"""Fetching a bundle: every byte is checked, at the desk, on the way and at rest (T12)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.desk import Desk, JobOffer, pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError, DeskUnreachable
from comfyui_pocketvideo.mobile_runtime.agent.fetch import fetch_bundle
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, BundleError, DigestError, QuotaError, Store

from unit.agent.conftest import Workplace
from unit.bridge import tiny_bundle
from unit.bridge.conftest import wait_for

BALLAST = (300_000, 200_000)
FILES = [
    "ballast_0.bin",
    "ballast_1.bin",
    "graphs/denoiser.onnx",
    "graphs/text_encoder.onnx",
    "graphs/vae_decoder.onnx",
    "self_test.safetensors",
    "tokenizer.json",
    "weights/denoiser.safetensors",
    "weights/text_encoder.safetensors",
    "weights/vae_decoder.safetensors",
    "workflow.json",
]


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle.build(tmp_path / "bundle", ballast=BALLAST)


def flip(path: Path, position: int = -1) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


class Told:
    """Progress as the agent reports it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float | None, str]] = []

    def __call__(self, stage: str, fraction: float | None, message: str) -> None:
        self.lines.append((stage, fraction, message))


def with_job(workplace: Workplace, bundle: Bundle, work: Callable[[Desk, JobOffer], Awaitable[Any]]) -> Any:
    """Push `bundle`, take the job as the device, and do `work` with it."""
    workplace.push(bundle)

    async def take() -> Any:
        pairing = workplace.pairing
        async with Desk(
            pairing.host, pairing.port, pinned_context(pairing.certificate), pairing.token
        ) as desk:
            offer = await desk.next_job()
            assert offer is not None
            return await work(desk, offer)

    return asyncio.run(take())


def fetch(
    workplace: Workplace, bundle: Bundle, store: Store | None = None, told: Told | None = None
) -> Bundle:
    result: Bundle = with_job(
        workplace,
        bundle,
        lambda desk, offer: fetch_bundle(desk, store or workplace.store, offer.bundle_id, told or Told()),
    )
    return result


def test_a_fetched_bundle_is_byte_for_byte_the_desks(workplace: Workplace, bundle: Bundle) -> None:
    assert sorted(bundle.files) == FILES
    told = Told()
    fetched = fetch(workplace, bundle, told=told)
    assert fetched.id == bundle.id and fetched.data == bundle.data
    assert all(fetched.read(name) == bundle.read(name) for name in FILES)
    fractions = [
        fraction for stage, fraction, _ in told.lines if stage == "download" and fraction is not None
    ]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0


@pytest.mark.parametrize("name", FILES)
def test_t12_a_byte_flipped_at_the_desk_is_refused_and_named(
    workplace: Workplace, bundle: Bundle, name: str
) -> None:
    flip(bundle.path(name))
    with pytest.raises(DigestError, match=name) as caught:
        fetch(workplace, bundle)
    assert caught.value.path == name
    assert workplace.store.bundles() == []
    assert not workplace.store.blob_path(bundle.files[name]["sha256"]).exists()


def test_t12_a_byte_flipped_in_the_manifest_is_refused_and_named(
    workplace: Workplace, bundle: Bundle
) -> None:
    tampered = Bundle(bundle.data, bundle._locate)
    tampered.data = bundle.data.replace(b'"license":"Apache-2.0"', b'"license":"Apache-2.1"')
    assert tampered.data != bundle.data
    with pytest.raises(AgentError, match=r"manifest\.json is damaged"):
        fetch(workplace, tampered)
    assert workplace.store.bundles() == []


@pytest.mark.parametrize("name", ["ballast_0.bin", "graphs/denoiser.onnx", "weights/denoiser.safetensors"])
def test_t12_a_byte_flipped_on_the_device_is_noticed_and_only_that_file_fetched_again(
    workplace: Workplace, bundle: Bundle, name: str
) -> None:
    blob = fetch(workplace, bundle).path(name)
    flip(blob)
    before = workplace.sent()
    told = Told()
    again = fetch(workplace, bundle, told=told)
    assert again.read(name) == bundle.read(name)
    assert workplace.sent() - before == bundle.files[name]["bytes"]
    assert any(name in message and "damaged" in message for _, _, message in told.lines)


def test_a_partial_file_is_resumed_and_its_bytes_are_never_sent_again(
    workplace: Workplace, bundle: Bundle
) -> None:
    entry = bundle.files["ballast_0.bin"]
    part = workplace.store.part_path(entry["sha256"])
    part.parent.mkdir(parents=True)
    part.write_bytes(bundle.read("ballast_0.bin")[:123_456])
    fetch(workplace, bundle)
    sent = workplace.bridge.bytes_sent(workplace.pairing.device_id)
    assert sent[entry["sha256"]] == entry["bytes"] - 123_456


def test_t12_a_spoilt_partial_file_costs_one_more_transfer_and_nothing_else(
    workplace: Workplace, bundle: Bundle
) -> None:
    entry = bundle.files["ballast_0.bin"]
    part = workplace.store.part_path(entry["sha256"])
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(100_000))
    fetched = fetch(workplace, bundle)
    assert fetched.read("ballast_0.bin") == bundle.read("ballast_0.bin")
    sent = workplace.bridge.bytes_sent(workplace.pairing.device_id)
    assert sent[entry["sha256"]] == entry["bytes"] + (entry["bytes"] - 100_000)


def test_a_bundle_that_does_not_fit_is_refused_before_a_byte_comes(
    workplace: Workplace, bundle: Bundle
) -> None:
    with pytest.raises(QuotaError, match="tiny"):
        fetch(workplace, bundle, Store(workplace.home.store, quota=1000))
    assert workplace.sent() == 0


def test_a_desk_that_goes_away_leaves_a_store_that_resumes(workplace: Workplace, bundle: Bundle) -> None:
    workplace.limit(200_000.0)

    async def interrupted(desk: Desk, offer: JobOffer) -> None:
        task = asyncio.ensure_future(fetch_bundle(desk, workplace.store, offer.bundle_id, Told()))
        await asyncio.to_thread(wait_for, lambda: workplace.sent() >= 100_000)
        await asyncio.to_thread(workplace.bridge.stop)
        with pytest.raises(DeskUnreachable):
            await task

    with_job(workplace, bundle, interrupted)
    missing = workplace.store.missing_bytes(bundle.manifest)
    assert 0 < missing < sum(entry["bytes"] for entry in bundle.files.values())
    workplace.bridge.start()
    fetch(workplace, bundle)
    assert workplace.sent() == missing


def test_a_job_for_a_damaged_bundle_fails_at_the_desk_with_the_files_name(
    workplace: Workplace, bundle: Bundle
) -> None:
    flip(bundle.path("graphs/denoiser.onnx"))
    agent = workplace.agent("run", "--once")
    with pytest.raises(Exception, match=r"graphs/denoiser\.onnx arrived damaged"):
        workplace.push(bundle).result(60)
    assert agent.wait(30) == 1


def test_t10_a_bundle_with_a_forbidden_graph_is_refused_on_the_device(
    workplace: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    import hashlib

    import onnx
    from comfyui_pocketvideo.mobile_runtime.bundle import bundle_id, serialise
    from onnx import TensorProto, helper

    evil = helper.make_model(
        helper.make_graph(
            [helper.make_node("Shell", ["latent"], ["frames"], domain="evil")],
            "evil",
            [helper.make_tensor_value_info("latent", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1])],
        ),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("evil", 1)],
    )
    onnx.save(evil, bundle.path("graphs/vae_decoder.onnx"))
    data = evil.SerializeToString()
    manifest = bundle.manifest
    for entry in manifest["files"]:
        if entry["path"] == "graphs/vae_decoder.onnx":
            entry["sha256"], entry["bytes"] = hashlib.sha256(data).hexdigest(), len(data)
    (tmp_path / "bundle" / "manifest.json").write_bytes(serialise(manifest))
    forged = Bundle.open(tmp_path / "bundle")
    assert forged.id == bundle_id(forged.data)
    with pytest.raises(BundleError, match=r"graphs/vae_decoder\.onnx.*Shell"):
        fetch(workplace, forged)
    assert workplace.store.bundles() == []
