"""The agent as a real process: pair, run, be killed at any point and come back without loss."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, PushCancelled
from comfyui_pocketvideo.mobile_runtime.bridge.media import check_mp4
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle

from unit.agent.conftest import Workplace
from unit.bridge import tiny_bundle
from unit.bridge.conftest import pair_device, wait_for

BALLAST = (1_000_000, 700_001, 1_300_000, 65_537, 400_000)
SLOW = {"steps": 1000}


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return tiny_bundle.build(tmp_path / "bundle", ballast=BALLAST)


@pytest.fixture
def long_bundle(tmp_path: Path) -> Bundle:
    """One whose 1,000 steps take some seconds, so that a test can interfere."""
    return tiny_bundle.build(tmp_path / "bundle", shape=(1, 3, 17, 192, 192))


def total(bundle: Bundle) -> int:
    return sum(entry["bytes"] for entry in bundle.files.values())


def test_a_pushed_bundle_runs_and_the_result_is_what_the_engine_makes(
    workplace: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    agent = workplace.agent("run", "--once")
    values = {"prompt": "a red circle", "seed": "18446744073709551615", "steps": 3}
    result = workplace.push(bundle, values).result(60)
    assert agent.wait(30) == 0
    (tmp_path / "here").mkdir()
    expected = run_bundle(bundle, values, output_dir=tmp_path / "here")
    assert np.array_equal(result.frames, expected.frames)
    check_mp4(result.video)
    assert result.report["evaluations"] == 3
    assert result.report["self_test"]["components"]["vae_decoder"]["psnr"] >= 60
    assert result.sent_bytes == result.bundle_bytes == total(bundle)
    assert {event.stage for event in workplace.events} >= {"queued", "download", "run", "upload"}
    assert not list(workplace.home.outputs.iterdir())


def test_a_second_job_of_the_same_bundle_sends_no_file(workplace: Workplace, bundle: Bundle) -> None:
    workplace.agent("run")
    first = workplace.push(bundle, {"seed": "1"}).result(60)
    second = workplace.push(bundle, {"seed": "2"}).result(60)
    assert (first.sent_bytes, second.sent_bytes) == (total(bundle), 0)
    assert not np.array_equal(first.frames, second.frames)
    record = second.report["self_test"]
    assert record == first.report["self_test"]


def test_a_later_job_finds_the_graphs_of_an_earlier_one_loaded(workplace: Workplace, bundle: Bundle) -> None:
    workplace.agent("run")
    # The self-test loads those of the components that it tests.
    loaded = [workplace.push(bundle, {"seed": seed}).result(60).report["graphs_loaded"] for seed in "12"]
    assert loaded[0] > 0 and loaded[1] == 0


def test_a_second_bundle_sends_only_what_differs(
    workplace: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    workplace.agent("run")
    workplace.push(bundle).result(60)
    other = tiny_bundle.build(tmp_path / "other", ballast=(*BALLAST, 50_000))
    result = workplace.push(other).result(60)
    assert result.sent_bytes == 50_000
    assert result.bundle_bytes == total(other)


def kill(workplace: Workplace, when: Callable[[], object]) -> None:
    """Start the agent, wait for the moment, and take the process away as a power cut would."""
    agent = workplace.agent("run")
    wait_for(when, 60)
    agent.send_signal(signal.SIGKILL)
    assert agent.wait(20) == -signal.SIGKILL
    # What the kernel still held has to be gone before bytes are counted.
    wait_for(lambda: workplace.open_transfers() == 0)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_device_killed_during_the_push_loses_nothing_and_gets_only_what_is_missing(
    workplace: Workplace, bundle: Bundle, share: float
) -> None:
    workplace.limit(400_000.0)
    future = workplace.push(bundle)
    kill(workplace, lambda: workplace.sent() >= share * total(bundle))
    missing = workplace.store.missing_bytes(bundle.manifest)
    assert 0 < missing < total(bundle)
    before = workplace.sent()
    workplace.limit(None)
    workplace.agent("run")
    result = future.result(60)
    assert workplace.sent() - before == missing
    assert result.attempts == 2
    workplace.store.open(bundle.id).verify()


def test_a_device_killed_again_and_again_finishes_all_the_same(workplace: Workplace, bundle: Bundle) -> None:
    workplace.limit(500_000.0)
    future = workplace.push(bundle)
    resent = 0
    for share in (0.2, 0.6):
        have = total(bundle) - workplace.store.missing_bytes(bundle.manifest)
        start = workplace.sent()
        kill(
            workplace,
            lambda start=start, have=have, share=share: (
                have + workplace.sent() - start >= share * total(bundle)
            ),
        )
        kept = total(bundle) - workplace.store.missing_bytes(bundle.manifest)
        assert kept >= have
        resent += workplace.sent() - start - (kept - have)
    missing = workplace.store.missing_bytes(bundle.manifest)
    before = workplace.sent()
    workplace.limit(None)
    workplace.agent("run")
    result = future.result(60)
    assert workplace.sent() - before == missing
    assert result.attempts == 3
    # Bytes sent beyond the bundle's size are those in flight when the power went, and nothing else.
    assert result.sent_bytes == total(bundle) + resent


def test_a_device_killed_while_it_computes_starts_the_job_anew_without_any_transfer(
    workplace: Workplace, long_bundle: Bundle
) -> None:
    future = workplace.push(long_bundle, SLOW)
    kill(workplace, lambda: [event for event in workplace.events if event.stage == "run"])
    assert not future.done()
    before = workplace.sent()
    seen = len(workplace.events)
    workplace.agent("run")
    wait_for(lambda: [event for event in workplace.events[seen:] if event.stage == "run"], 60)
    assert workplace.sent() == before
    workplace.cancel.set()
    with pytest.raises(PushCancelled):
        future.result(20)


def test_cancelling_at_the_desk_stops_the_device_which_then_takes_the_next_job(
    workplace: Workplace, long_bundle: Bundle
) -> None:
    agent = workplace.agent("run")
    future = workplace.push(long_bundle, SLOW)
    wait_for(lambda: [event for event in workplace.events if event.stage == "run"], 60)
    workplace.cancel.set()
    with pytest.raises(PushCancelled):
        future.result(20)
    workplace.cancel.clear()
    result = workplace.push(long_bundle, {"steps": 1}).result(60)
    assert result.report["evaluations"] == 1
    assert agent.poll() is None
    agent.terminate()
    _, errors = agent.communicate(timeout=20)
    assert "The desk withdrew job" in errors


def test_the_agent_waits_for_a_desk_that_is_off_and_reconnects(workplace: Workplace, bundle: Bundle) -> None:
    workplace.bridge.stop()
    workplace.agent("run")
    wait_for(lambda: True)
    result = workplace.push(bundle).result(60)
    assert result.attempts == 1


def test_t06_a_revoked_agent_says_so_forgets_the_desk_and_ends(workplace: Workplace) -> None:
    agent = workplace.agent("run")
    wait_for(lambda: workplace.bridge.devices()[0].connected, 30)
    workplace.bridge.revoke(workplace.pairing.device_id)
    _, errors = agent.communicate(timeout=30)
    assert agent.returncode == 1
    assert "no longer knows this device; pair it again" in errors
    assert workplace.home.pairings() == []


def test_with_two_desks_the_one_that_revokes_does_not_end_the_others_work(
    workplace: Workplace, bundle: Bundle, tmp_path: Path
) -> None:
    other = Bridge(tmp_path / "other desk", desk_name="Other desk")
    other.start()
    try:
        pairing = pair_device(other, workplace.home.folder, "Shared device")
        agent = workplace.agent("run")
        wait_for(lambda: workplace.bridge.devices()[0].connected and other.devices()[0].connected, 60)
        other.revoke(pairing.device_id)
        assert workplace.push(bundle).result(60).frames.shape[0] == 5
        wait_for(lambda: len(workplace.home.pairings()) == 1)
        assert agent.poll() is None
    finally:
        other.stop()


def test_t16_the_agent_never_prints_its_token(workplace: Workplace, bundle: Bundle) -> None:
    agent = workplace.agent("run", "--once")
    workplace.push(bundle).result(60)
    output, errors = agent.communicate(timeout=30)
    listing, _ = workplace.agent("list").communicate(timeout=30)
    assert bundle.id in listing and "Test desk" in listing
    assert workplace.pairing.token not in output + errors + listing


def test_a_value_out_of_bounds_fails_the_job_in_the_engines_words(
    workplace: Workplace, bundle: Bundle
) -> None:
    agent = workplace.agent("run", "--once")
    with pytest.raises(Exception, match=r"did not finish the job: .*steps"):
        workplace.push(bundle, {"steps": 5000}).result(60)
    assert agent.wait(20) == 1


def test_pairing_from_the_command_line_by_address_and_by_typed_code(tmp_path: Path) -> None:
    place = Workplace(Bridge(tmp_path / "desk", desk_name="Studio"), Home(tmp_path / "device"), None, None)  # type: ignore[arg-type]
    try:
        agent = place.agent("pair", "-", "--name", "Tablet")
        assert agent.stdin is not None
        agent.stdin.write(place.bridge.begin_pairing().uri + "\n")
        agent.stdin.flush()
        place.bridge.confirm(wait_for(place.bridge.pending)[0].device_id)
        _, errors = agent.communicate(timeout=30)
        assert agent.returncode == 0 and "Paired with Studio." in errors
        offer = place.bridge.begin_pairing()
        agent = place.agent("pair", "--desk", offer.address, "--code", offer.code, "--name", "Tablet again")
        (device,) = wait_for(place.bridge.pending)
        place.bridge.confirm(device.device_id)
        _, errors = agent.communicate("y\n", timeout=30)
        code = f"{device.verification_code[:3]} {device.verification_code[3:]}"
        assert agent.returncode == 0 and f"Does the desk show {code}?" in errors
        assert len(place.home.pairings()) == 1
        forget = place.agent("forget", place.home.pairings()[0].desk_id)
        assert forget.wait(30) == 0
        assert place.home.pairings() == []
        assert [item.name for item in place.bridge.devices()] == ["Tablet"]
    finally:
        for process in place.processes:
            process.kill()
            process.wait()
        place.bridge.stop()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "not paired with any desk"),
        (["pair", "https://example.org/"], "not a pairing address"),
        (["pair"], "either the pairing address, or both"),
        (["pair", "--desk", "here", "--code", "12345678"], "must read HOST:PORT"),
        (["pair", "--desk", "127.0.0.1:9", "--code", "12"], "row of digits"),
        (["pair", "--desk", "127.0.0.1:9", "--code", "12345678"], "does not answer"),
        (["forget", "nobody"], "No desk with id nobody"),
    ],
)
def test_what_the_command_cannot_do_it_says_in_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    from comfyui_pocketvideo.mobile_runtime.agent.cli import main

    assert main(["--home", str(tmp_path / "home"), *arguments]) == 1
    errors = capfd.readouterr().err
    assert message in errors and errors.count("\n") == 1


def test_one_folder_serves_one_agent(workplace: Workplace) -> None:
    workplace.agent("run")
    wait_for(lambda: workplace.bridge.devices()[0].connected, 30)
    second = workplace.agent("run")
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 1 and "Another agent runs" in errors


def test_the_agents_process_holds_neither_torch_nor_any_part_of_the_desk(tmp_path: Path) -> None:
    import subprocess

    code = (
        "import sys, pkgutil, importlib\n"
        "import comfyui_pocketvideo.mobile_runtime.agent as agent\n"
        "for module in pkgutil.iter_modules(agent.__path__):\n"
        "    if module.name != '__main__':\n"
        "        importlib.import_module(agent.__name__ + '.' + module.name)\n"
        "print('\\n'.join(sorted(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(run.stdout.split())
    assert "comfyui_pocketvideo.mobile_runtime.engine.run" in loaded
    forbidden = {"torch", "onnx", "cryptography", "comfy", "PIL", "diffusers", "transformers", "safetensors"}
    assert not forbidden & {name.split(".")[0] for name in loaded}
    assert not [name for name in loaded if ".bridge" in name or ".pocketvideo.pocketvideo" in name]
