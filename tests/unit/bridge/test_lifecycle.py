"""The bridge is off until asked, on one interface, and leaves nothing behind (T3, T21); its certificates."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.desk import pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError
from comfyui_pocketvideo.mobile_runtime.agent.handshake import read_uri
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError
from comfyui_pocketvideo.mobile_runtime.bridge.authority import load_authority, server_context
from cryptography import x509

from unit.bridge.client import Client


def bridge_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "pocketvideo" in thread.name]


def open_sockets() -> set[str]:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    links = set()
    for entry in folder.iterdir():
        try:
            links.add(os.readlink(entry))
        except OSError:
            continue
    return {link for link in links if link.startswith(("socket:", "anon_inode:[eventpoll]"))}


def test_t03_a_new_bridge_opens_and_writes_nothing(tmp_path: Path) -> None:
    before = open_sockets()
    bridge = Bridge(tmp_path / "desk")
    assert (bridge.running, bridge.address, bridge.pending(), bridge.devices()) == (False, "", [], [])
    bridge.stop()
    assert not (tmp_path / "desk").exists() and open_sockets() == before and bridge_threads() == []


def test_t21_start_and_stop_leave_no_thread_and_no_socket(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk")
    before = open_sockets()
    for _ in range(3):
        bridge.begin_pairing()
        assert bridge_threads() == ["pocketvideo-bridge"]
        host, port = bridge.address.split(":")
        context = pinned_context(load_authority(tmp_path / "desk").certificate)
        assert Client(host, int(port), context).get("/v1/about").status == 200
        # A client that stays connected does not keep the bridge alive.
        plain = socket.create_connection((host, int(port)), 10)
        lingering = context.wrap_socket(plain, server_hostname=host)
        bridge.stop()
        lingering.close()
        assert bridge_threads() == [] and not bridge.running
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), 10)
    assert open_sockets() == before


def test_t21_a_process_that_forgets_to_stop_still_ends(tmp_path: Path) -> None:
    code = (
        "import sys; from comfyui_pocketvideo.mobile_runtime.bridge import Bridge\n"
        "bridge = Bridge(sys.argv[1]); bridge.start(); print(bridge.address)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "desk")], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0 and run.stdout.startswith("127.0.0.1:"), run.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_t22_every_interface_at_once_is_refused(tmp_path: Path, host: str) -> None:
    bridge = Bridge(tmp_path / "desk", host)
    with pytest.raises(BridgeError, match=r"every interface|cannot listen"):
        bridge.start()
    assert bridge_threads() == []


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BridgeError, match=f"127.0.0.1:{port}"):
            Bridge(tmp_path / "desk", port=port).start()
    assert bridge_threads() == []


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bridge.json").write_text('{"format": 1}')
    with pytest.raises(BridgeError, match=r"bridge\.json is damaged"):
        Bridge(tmp_path).start()


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def test_the_authority_is_made_once_and_signs_only_what_it_may(tmp_path: Path) -> None:
    first = load_authority(tmp_path)
    assert load_authority(tmp_path) == first
    assert first.fingerprint == hashlib.sha256(first.certificate).hexdigest()
    made = certificate(tmp_path, "ca.pem")
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0
    usage = made.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.key_cert_sign and not usage.digital_signature


def test_the_leaf_names_the_address_and_lives_less_than_398_days(tmp_path: Path) -> None:
    server_context(tmp_path, ("192.168.7.7", "desk.local"))
    leaf = certificate(tmp_path, "leaf.pem")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {
        "192.168.7.7",
        "127.0.0.1",
        "::1",
    }
    assert set(names.get_values_for_type(x509.DNSName)) == {"desk.local", "localhost"}
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= dt.timedelta(days=398)
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_the_leaf_is_renewed_when_the_address_changes_and_only_then(tmp_path: Path) -> None:
    authority = load_authority(tmp_path)
    server_context(tmp_path, ("192.168.7.7",))
    first = certificate(tmp_path, "leaf.pem")
    server_context(tmp_path, ("192.168.7.7",))
    assert certificate(tmp_path, "leaf.pem") == first
    server_context(tmp_path, ("192.168.7.8",))
    assert certificate(tmp_path, "leaf.pem") != first
    assert load_authority(tmp_path) == authority


def test_a_leaf_near_its_end_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from comfyui_pocketvideo.mobile_runtime.bridge import authority

    monkeypatch.setattr(authority, "LEAF_DAYS", authority.RENEW_BELOW_DAYS)
    server_context(tmp_path, ())
    short = certificate(tmp_path, "leaf.pem")
    monkeypatch.undo()
    server_context(tmp_path, ())
    assert certificate(tmp_path, "leaf.pem").not_valid_after_utc > short.not_valid_after_utc


def test_keys_that_do_not_fit_are_named(tmp_path: Path) -> None:
    load_authority(tmp_path / "one")
    load_authority(tmp_path / "two")
    (tmp_path / "two" / "ca.key.pem").replace(tmp_path / "one" / "ca.key.pem")
    with pytest.raises(BridgeError, match="do not belong together"):
        load_authority(tmp_path / "one")


def test_python_verifies_the_chain_strictly(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "desk")
    try:
        invitation = read_uri(bridge.begin_pairing().uri)
        context = pinned_context(load_authority(tmp_path / "desk").certificate)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        assert Client(invitation.host, invitation.port, context).get("/v1/about").status == 200
        other = pinned_context(load_authority(tmp_path / "other").certificate)
        with pytest.raises(ssl.SSLCertVerificationError):
            Client(invitation.host, invitation.port, other).get("/v1/about")
    finally:
        bridge.stop()


def test_a_file_that_is_no_certificate_is_named() -> None:
    with pytest.raises(AgentError, match="certificate cannot be read"):
        pinned_context(b"no certificate")
