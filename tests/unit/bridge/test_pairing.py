"""Pairing from both sides, over real sockets and TLS (docs/protocol.md section 4)."""

from __future__ import annotations

import hashlib
import json
import secrets
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from comfyui_pocketvideo.mobile_runtime.agent.errors import AgentError, DeskRefused
from comfyui_pocketvideo.mobile_runtime.agent.handshake import Identity, Invitation, read_code, read_uri
from comfyui_pocketvideo.mobile_runtime.agent.home import Home
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, BridgeError
from comfyui_pocketvideo.mobile_runtime.bridge.errors import ApiError
from comfyui_pocketvideo.mobile_runtime.bridge.handshake import Introduction, commitment_of, proof_of
from comfyui_pocketvideo.mobile_runtime.bridge.pairing import MAX_WRONG_PROOFS, OFFER_SECONDS, PairingDesk

from unit.bridge.client import Client, client_for
from unit.bridge.conftest import PairingThread, pair_device, wait_for


def introduction(identity: Identity, key: bytes, fingerprint: str) -> dict[str, str]:
    return {
        "protocol": "1.0",
        "name": identity.name,
        "kind": identity.kind,
        "commitment": identity.commitment,
        "token_sha256": identity.token_sha256,
        "proof": identity.proof(key, fingerprint),
    }


def test_t05_pairing_by_uri_shows_the_same_code_on_both_sides(bridge: Bridge, tmp_path: Path) -> None:
    thread = PairingThread(Home(tmp_path / "device"), read_uri(bridge.begin_pairing().uri), "Kitchen tablet")
    thread.start()
    (device,) = wait_for(bridge.pending)
    assert (device.name, device.kind) == ("Kitchen tablet", "agent")
    assert thread.codes == [device.verification_code]
    assert bridge.devices() == []
    bridge.confirm(device.device_id)
    pairing = thread.finish()
    assert thread.asked == []
    assert [known.name for known in bridge.devices()] == ["Kitchen tablet"]
    assert client_for(pairing).get("/v1/device").json == {
        "device_id": device.device_id,
        "name": "Kitchen tablet",
        "kind": "agent",
    }
    assert [item.token for item in Home(tmp_path / "device").pairings()] == [pairing.token]


def test_pairing_by_typed_code_asks_the_devices_user_to_compare(bridge: Bridge, tmp_path: Path) -> None:
    offer = bridge.begin_pairing()
    thread = PairingThread(
        Home(tmp_path / "device"), read_code(offer.address, f"{offer.code[:4]} {offer.code[4:]}"), "Phone"
    )
    thread.start()
    (device,) = wait_for(bridge.pending)
    bridge.confirm(device.device_id)
    thread.finish()
    assert thread.asked == [device.verification_code]


def test_a_device_whose_user_sees_another_code_gives_up(bridge: Bridge, tmp_path: Path) -> None:
    offer = bridge.begin_pairing()
    home = Home(tmp_path / "device")
    thread = PairingThread(home, read_code(offer.address, offer.code), "Phone", same=False)
    thread.start()
    with pytest.raises(AgentError, match="codes differ"):
        thread.finish()
    assert home.pairings() == []


def test_a_refused_device_hears_it_and_keeps_nothing(bridge: Bridge, tmp_path: Path) -> None:
    home = Home(tmp_path / "device")
    thread = PairingThread(home, read_uri(bridge.begin_pairing().uri), "Stranger")
    thread.start()
    bridge.refuse(wait_for(bridge.pending)[0].device_id)
    with pytest.raises(AgentError, match="refused"):
        thread.finish()
    assert home.pairings() == [] and bridge.devices() == [] and bridge.pending() == []


def test_t05_the_token_is_dead_until_the_desk_confirms(bridge: Bridge, stranger: Client) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    identity = Identity.draw("Early bird")
    holder = Client(stranger.host, stranger.port, stranger.context, identity.token)
    assert holder.get("/v1/device").status == 401
    answer = stranger.send(
        "POST", "/v1/pairings", introduction(identity, invitation.key, invitation.fingerprint)
    )
    assert answer.status == 201
    assert holder.get("/v1/device").status == 401
    path = f"/v1/pairings/{answer.json['pairing_id']}"
    assert stranger.send("POST", path + "/reveal", {"nonce": identity.nonce.hex()}).status == 200
    assert holder.get("/v1/device").status == 401
    assert stranger.get(path).json == {"state": "waiting"}
    (device,) = bridge.pending()
    assert device.verification_code == identity.verification_code(
        invitation.fingerprint, answer.json["desk_nonce"]
    )
    bridge.confirm(device.device_id)
    assert holder.get("/v1/device").status == 200
    assert stranger.get(path).json == {"state": "confirmed", "device_id": device.device_id}


def test_a_device_cannot_be_confirmed_before_its_code_is_known(bridge: Bridge, stranger: Client) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    identity = Identity.draw("Silent")
    body = introduction(identity, invitation.key, invitation.fingerprint)
    path = f"/v1/pairings/{stranger.send('POST', '/v1/pairings', body).json['pairing_id']}"
    assert bridge.pending() == []
    wrong = stranger.send("POST", path + "/reveal", {"nonce": secrets.token_hex(16)})
    assert (wrong.status, wrong.code) == (403, "wrong_nonce")
    # The pairing is dropped: a man in the middle gets one guess, not a search.
    assert stranger.send("POST", path + "/reveal", {"nonce": identity.nonce.hex()}).status == 404


def test_the_nonce_is_taken_once(bridge: Bridge, stranger: Client) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    identity = Identity.draw("Twice")
    body = introduction(identity, invitation.key, invitation.fingerprint)
    path = f"/v1/pairings/{stranger.send('POST', '/v1/pairings', body).json['pairing_id']}/reveal"
    assert stranger.send("POST", path, {"nonce": identity.nonce.hex()}).status == 200
    assert stranger.send("POST", path, {"nonce": identity.nonce.hex()}).code == "already_revealed"


def test_t04_five_wrong_codes_lock_the_offer_even_for_the_right_one(bridge: Bridge, stranger: Client) -> None:
    offer = bridge.begin_pairing()
    invitation = read_uri(offer.uri)
    identity = Identity.draw("Guesser")
    codes = [f"{(int(offer.code) + 1 + index) % 10**8:08d}" for index in range(MAX_WRONG_PROOFS)]
    answers = [
        stranger.send(
            "POST", "/v1/pairings", introduction(identity, code.encode("ascii"), invitation.fingerprint)
        )
        for code in codes
    ]
    assert [answer.status for answer in answers] == [403] * (MAX_WRONG_PROOFS - 1) + [429]
    right = stranger.send(
        "POST", "/v1/pairings", introduction(identity, invitation.key, invitation.fingerprint)
    )
    assert (right.status, right.code) == (429, "locked")
    assert bridge.pending() == []
    # A new offer opens the door again, and the old secret stays dead.
    bridge.begin_pairing()
    old = stranger.send(
        "POST", "/v1/pairings", introduction(identity, invitation.key, invitation.fingerprint)
    )
    assert old.code == "wrong_code"


def test_t04_an_offer_is_used_once(bridge: Bridge, stranger: Client) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    for identity, status in ((Identity.draw("First"), 201), (Identity.draw("Second"), 410)):
        body = introduction(identity, invitation.key, invitation.fingerprint)
        assert stranger.send("POST", "/v1/pairings", body).status == status


def test_t04_without_an_offer_nobody_pairs(bridge: Bridge, stranger: Client) -> None:
    bridge.begin_pairing()
    bridge.cancel_pairing()
    answer = stranger.send("POST", "/v1/pairings", introduction(Identity.draw("Late"), b"0" * 16, "0" * 64))
    assert (answer.status, answer.code) == (410, "no_offer")


def test_t04_offers_and_pairings_expire() -> None:
    now = [1000.0]
    desk = PairingDesk("f" * 64, clock=lambda: now[0])
    nonce = b"n" * 16
    device = Introduction("Slow", "agent", commitment_of(nonce), "a" * 64)

    def introduce(code: str) -> str:
        return desk.introduce(device, proof_of(code.encode("ascii"), "f" * 64, device), "somewhere")[0]

    code = desk.open_offer("127.0.0.1", 1, "127.0.0.1:1").code
    now[0] += OFFER_SECONDS
    with pytest.raises(ApiError) as caught:
        introduce(code)
    assert caught.value.code == "no_offer"

    pairing_id = introduce(desk.open_offer("127.0.0.1", 1, "127.0.0.1:1").code)
    desk.reveal(pairing_id, nonce)
    (device_id,) = [item.device_id for item in desk.pending()]
    now[0] += OFFER_SECONDS
    assert desk.pending() == []
    with pytest.raises(BridgeError, match="three minutes"):
        desk.settle(device_id, confirmed=True)
    with pytest.raises(ApiError) as caught:
        desk.reveal(pairing_id, nonce)
    assert caught.value.status == 404


def test_t04_the_secret_has_128_bits_and_sits_in_the_fragment(bridge: Bridge) -> None:
    offers = [bridge.begin_pairing() for _ in range(3)]
    keys = {read_uri(offer.uri).key for offer in offers}
    assert len(keys) == 3 and {len(key) for key in keys} == {16}
    for offer in offers:
        before, after = offer.uri.split("#")
        assert before == f"https://{bridge.address}/"
        assert after.startswith("s=") and len(offer.code) == 8
        assert 0 < offer.expires_at - time.time() <= OFFER_SECONDS


def test_a_desk_with_another_authority_is_refused_before_anything_is_sent(
    bridge: Bridge, tmp_path: Path
) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    wrong = Invitation(invitation.host, invitation.port, invitation.key, "0" * 64)
    thread = PairingThread(Home(tmp_path / "device"), wrong, "Careful")
    thread.start()
    with pytest.raises(AgentError, match="fingerprint"):
        thread.finish()
    assert bridge.pending() == []


def test_a_proof_for_another_authority_is_worthless(bridge: Bridge, stranger: Client) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    identity = Identity.draw("Relayed")
    answer = stranger.send("POST", "/v1/pairings", introduction(identity, invitation.key, "0" * 64))
    assert answer.code == "wrong_code"


def test_t06_the_desk_keeps_a_hash_and_no_token(bridge: Bridge, tmp_path: Path) -> None:
    pairing = pair_device(bridge, tmp_path / "device")
    files = [path for path in (tmp_path / "desk").rglob("*") if path.is_file()]
    assert files
    assert not any(pairing.token.encode("ascii") in path.read_bytes() for path in files)
    state = json.loads((tmp_path / "desk" / "bridge.json").read_bytes())
    digest = hashlib.sha256(pairing.token.encode("ascii")).hexdigest()
    assert [device["token_sha256"] for device in state["devices"]] == [digest]
    for path in [*files, tmp_path / "device" / "device.json"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_devices_survive_a_restart_of_the_desk_on_the_same_port(bridge: Bridge, tmp_path: Path) -> None:
    pairing = pair_device(bridge, tmp_path / "device")
    bridge.stop()
    again = Bridge(tmp_path / "desk")
    assert [device.name for device in again.devices()] == ["Test device"]
    again.start()
    try:
        assert again.address == f"127.0.0.1:{pairing.port}"
        assert client_for(pairing).get("/v1/device").status == 200
    finally:
        again.stop()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 65),
        ("name", "two\nlines"),
        ("name", "\u202eevil"),
        ("name", " padded"),
        ("name", 7),
        ("kind", "desk"),
        ("protocol", "2.0"),
        ("commitment", "A" * 64),
        ("token_sha256", "00"),
        ("proof", None),
        ("extra", "field"),
    ],
)
def test_t14_hostile_introductions_are_refused_and_cost_no_try(
    bridge: Bridge, stranger: Client, field: str, value: Any
) -> None:
    invitation = read_uri(bridge.begin_pairing().uri)
    identity = Identity.draw("Plain")
    good = introduction(identity, invitation.key, invitation.fingerprint)
    for _ in range(MAX_WRONG_PROOFS + 1):
        answer = stranger.send("POST", "/v1/pairings", {**good, field: value})
        assert (answer.status, answer.code) == (400, "bad_request")
    assert stranger.send("POST", "/v1/pairings", good).status == 201


async def test_a_device_tells_a_locked_offer_in_the_desks_words(bridge: Bridge, tmp_path: Path) -> None:
    offer = bridge.begin_pairing()
    invitation = read_code(offer.address, f"{(int(offer.code) + 1) % 10**8:08d}")
    for _ in range(MAX_WRONG_PROOFS):
        thread = PairingThread(Home(tmp_path / "device"), invitation, "Clumsy")
        thread.start()
        with pytest.raises(DeskRefused) as caught:
            thread.finish()
    assert caught.value.code == "locked"
