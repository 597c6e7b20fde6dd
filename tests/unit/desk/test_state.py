"""The state folder: settings, its one user at a time, sends that outlive a restart, rates, device names."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from comfyui_pocketvideo.desk.devices import choose_device
from comfyui_pocketvideo.desk.errors import DeskError
from comfyui_pocketvideo.desk.folder import BridgeSettings, StateFolder
from comfyui_pocketvideo.desk.lock import FolderLock
from comfyui_pocketvideo.desk.qr import DARK, LIGHT, PAPER, PLAIN, qr_lines, qr_path
from comfyui_pocketvideo.desk.rates import FIRST, Rates
from comfyui_pocketvideo.desk.request import SendRequest
from comfyui_pocketvideo.desk.send import INTERRUPTED, SendStore

URI = "https://192.168.1.20:52011/#s=AbCdEfGhIjKlMnOpQrStUv&f=" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "given",
    [
        {"address": "0.0.0.0"},
        {"address": "::"},
        {"address": "evil.example"},
        {"address": ""},
        {"port": -1},
        {"port": 65536},
        {"names": ("a b",)},
        {"names": ("-x.local",)},
        {"names": ("x" * 64,)},
        {"names": tuple(f"n{number}.local" for number in range(9))},
    ],
)
def test_a_bridge_is_not_set_to_what_cannot_be(given: dict[str, object]) -> None:
    with pytest.raises(DeskError) as refused:
        BridgeSettings(**given)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_settings_come_back_and_damage_means_the_usual(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "state")
    assert folder.settings() == BridgeSettings()
    chosen = BridgeSettings("127.0.0.1", 4711, ("studio.local", "studio.example.net:443"))
    folder.save_settings(chosen)
    assert folder.settings() == chosen
    path = tmp_path / "state" / "desk.json"
    assert path.stat().st_mode & 0o077 == 0
    for damage in ("", "[]", '{"address": "0.0.0.0"}', '{"port": "many"}', '{"names": 5}'):
        path.write_text(damage)
        assert folder.settings() == BridgeSettings()


def test_one_process_at_a_time_has_the_folder_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; "
        "from comfyui_pocketvideo.desk.lock import FolderLock; "
        "lock = FolderLock(Path(sys.argv[1]), 'ComfyUI'); lock.acquire(); print('held', flush=True); "
        "time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    lock = FolderLock(tmp_path, "The command line")
    with pytest.raises(DeskError, match=rf"^ComfyUI \(process {other.pid}\) uses the folder"):
        lock.acquire()
    other.kill()
    other.wait()
    lock.acquire()
    lock.acquire()
    with pytest.raises(DeskError, match=rf"The command line \(process {os.getpid()}\)"):
        FolderLock(tmp_path, "Another").acquire()
    lock.release()
    FolderLock(tmp_path, "Another").acquire()


def test_a_camera_reads_the_code_of_the_page() -> None:
    size, path = qr_path(URI)
    picture = np.full((size, size), 255, np.uint8)
    for piece in path.split("z")[:-1]:
        corner, _, rest = piece[1:].partition("h")
        x, y = (int(number) for number in corner.split())
        picture[y, x : x + int(rest.partition("v")[0])] = 0
    assert [code.text for code in zxingcpp.read_barcodes(picture.repeat(6, 0).repeat(6, 1))] == [URI]


def test_a_camera_reads_the_code_of_the_terminal() -> None:
    halves = {" ": (255, 255), "\u2580": (0, 255), "\u2584": (255, 0), "\u2588": (0, 0)}
    rows = []
    for line in qr_lines(URI):
        assert line.startswith(PAPER)
        assert line.endswith(PLAIN)
        pairs = [halves[character] for character in line[len(PAPER) : -len(PLAIN)]]
        rows += [[upper for upper, _ in pairs], [lower for _, lower in pairs]]
    picture = np.array(rows, np.uint8).repeat(6, 0).repeat(6, 1)
    assert [code.text for code in zxingcpp.read_barcodes(picture)] == [URI]


def test_a_camera_reads_the_code_of_a_terminal_without_half_blocks() -> None:
    rows = []
    for line in qr_lines(URI, "cp1252"):
        line.encode("ascii")
        modules = line.removesuffix(PLAIN).replace(DARK, "1").replace(LIGHT, "0")
        rows.append([0 if module == "1" else 255 for module in modules])
    picture = np.array(rows, np.uint8).repeat(6, 0).repeat(6, 1)
    assert [code.text for code in zxingcpp.read_barcodes(picture)] == [URI]


def test_an_open_send_is_interrupted_after_a_restart_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    store = SendStore(StateFolder(tmp_path))
    send = store.new(SendRequest({"1": {}}, {"nodes": []}, name="One"), "One", "0" * 16, "Shelf")
    send.enter("transferring", 0.5)
    store.save(send)
    (tmp_path / "sends" / ("f" * 16)).mkdir()
    (tmp_path / "sends" / ("f" * 16) / "send.json").write_text('{"send_id": "../../x"}')
    (loaded,) = SendStore(StateFolder(tmp_path)).load()
    assert loaded.state == INTERRUPTED
    assert loaded.request == send.request
    assert loaded.fraction == pytest.approx(send.fraction, abs=1e-4)
    store.forget(send.send_id)
    assert store.load() == []


def test_a_sends_bar_never_goes_back(tmp_path: Path) -> None:
    send = SendStore(StateFolder(tmp_path)).new(SendRequest({}), "One", "0" * 16, "Shelf")
    send.total_bytes = 1000
    seen = []
    for state, fraction in (
        ("planning", None),
        ("exporting", 0.5),
        ("exporting", 0.2),
        ("waiting", None),
        ("transferring", 0.6),
        ("waiting", None),
        ("transferring", 0.4),
        ("testing", None),
    ):
        send.enter(state, fraction)
        seen.append(send.fraction)
    assert seen == sorted(seen)
    assert send.public()["bytes_sent"] == 600
    send.end("done")
    assert (send.public()["fraction"], send.public()["bytes_sent"]) == (1.0, 1000)


def test_the_time_that_a_send_will_take_is_learnt(tmp_path: Path) -> None:
    rates = Rates(StateFolder(tmp_path))
    assert rates.of("transfer/phone") == FIRST["transfer"]
    rates.measured("transfer", 50_000_000, 1.0)
    assert rates.of("transfer/phone") == 5e7
    rates.measured("transfer/phone", 1_000_000, 1.0)
    assert rates.of("transfer/phone") == 1e6
    before = rates.of("export")
    rates.measured("export", 10, 5.0)
    assert rates.of("export") == before
    assert rates.seconds("phone", 0, 0, 10_000_000) > 10


@dataclass
class Named:
    device_id: str
    name: str


def test_a_device_is_chosen_by_label_id_or_name_and_never_by_chance() -> None:
    one, two, three = Named("aaaa0000", "Shelf"), Named("bbbb0000", "Shelf"), Named("cccc0000", "Phone")
    devices = [one, two, three]
    assert choose_device(devices, "bbbb0000") is two  # type: ignore[arg-type, comparison-overlap]
    assert choose_device(devices, "Shelf (aaaa)") is one  # type: ignore[arg-type, comparison-overlap]
    assert choose_device(devices, "Phone") is three  # type: ignore[arg-type, comparison-overlap]
    assert choose_device([three], "") is three  # type: ignore[list-item, comparison-overlap]
    for wanted, words in (
        ("Shelf", "2 devices are called"),
        ("", "3 devices are paired"),
        ("x", "No paired"),
    ):
        with pytest.raises(DeskError, match=words):
            choose_device(devices, wanted)  # type: ignore[arg-type]
