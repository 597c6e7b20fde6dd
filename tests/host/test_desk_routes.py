"""The desk's own routes on a real ComfyUI: who may call them, and what they take."""

from __future__ import annotations

import pytest

from demo.device import desk
from host.client import ComfyClient, RequestFailed
from host.desk import desk_routes, sendable
from host.server import REPOSITORY

ROUTES = "/pocketvideo/v1"
POSTS = [path for method, path in desk_routes() if method == "POST"]
GETS = [path for method, path in desk_routes() if method == "GET"]
PAGE = {"X-PocketVideo": "1", "Content-Type": "application/json"}


def test_every_route_is_written_down() -> None:
    document = (REPOSITORY / "docs" / "desk-api.md").read_text(encoding="utf-8")
    assert len(desk_routes()) > 15
    for method, path in desk_routes():
        assert f"`{method} {path}`" in document or f"`{path}`" in document, path


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-PocketVideo": "1"},
        {"X-PocketVideo": "1", "Origin": "null"},
        {"X-PocketVideo": "1", "Origin": "http://evil.example"},
    ],
)
def test_t01_routes_refuse_other_pages(client: ComfyClient, path: str, headers: dict[str, str]) -> None:
    for prefix in (ROUTES, "/api" + ROUTES):
        with pytest.raises(RequestFailed) as refused:
            client.post_json(prefix + path, {}, headers=headers)
        assert refused.value.status == 403


@pytest.mark.parametrize("path", GETS)
def test_t01_reading_needs_the_header(client: ComfyClient, path: str) -> None:
    with pytest.raises(RequestFailed) as refused:
        client.get_json(ROUTES + path)
    assert refused.value.status == 403


def test_t02_routes_refuse_a_rebound_name(client: ComfyClient) -> None:
    headers = {"X-PocketVideo": "1", "Host": "attacker.example", "Origin": "http://attacker.example"}
    with pytest.raises(RequestFailed) as refused:
        client.get_json(ROUTES + "/devices", headers=headers)
    assert refused.value.status == 403


def test_a_route_refuses_what_it_does_not_know(client: ComfyClient) -> None:
    page = {**PAGE, "Origin": client.url}
    deep: object = {}
    for _ in range(100):
        deep = {"deeper": deep}
    bad = (
        ("/confirm", {"unknown": "x"}),
        ("/confirm", {"device_id": 5}),
        ("/confirm", {"device_id": "x" * 300}),
        ("/settings", {"port": "80"}),
        ("/settings", {"port": True}),
        ("/settings", {"names": ["a"] * 17}),
        ("/sends", {"prompt": "text"}),
        ("/sends", {"prompt": deep}),
        ("/sends/plan", {"prompt": {}, "file": "x"}),
        ("/rename", {"name": "x" * 5000}),
    )
    for path, body in bad:
        with pytest.raises(RequestFailed) as refused:
            client.post_json(ROUTES + path, body, headers=page)
        assert refused.value.status == 400, (path, body)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/revoke", {"device_id": "0123456789abcdef"}, "No device with id 0123456789abcdef"),
        ("/confirm", {}, "The request names no device"),
        ("/settings", {"address": "0.0.0.0"}, "does not listen on every interface"),
        ("/settings", {"address": "evil.example"}, "is not an address of this computer"),
        ("/settings", {"port": 70000}, "There is no port 70000"),
        ("/settings", {"names": ["a b"]}, "is not a host name"),
        ("/sends/cancel", {"send_id": "../../x"}, "There is no such send"),
        ("/sends", {}, "The request holds no workflow"),
        ("/sends/plan", {"prompt": {}, "precision": "int3"}, "There is no precision 'int3'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    client: ComfyClient, path: str, body: dict[str, object], words: str
) -> None:
    with pytest.raises(RequestFailed) as refused:
        desk(client, "POST", path, body)
    assert refused.value.status == 409
    assert words in refused.value.body["error"]
    assert "\n" not in refused.value.body["error"]


def test_a_graph_may_be_large_and_no_larger(client: ComfyClient) -> None:
    graph = sendable()
    graph["90"] = {"class_type": "Note", "inputs": {"text": "x" * 1_000_000}}
    with pytest.raises(RequestFailed) as refused:
        desk(client, "POST", "/sends/plan", {"prompt": graph, "device_id": "0123456789abcdef"})
    assert refused.value.status == 409
    graph["90"]["inputs"]["text"] *= 3
    with pytest.raises(RequestFailed) as refused:
        desk(client, "POST", "/sends/plan", {"prompt": graph})
    assert refused.value.status == 400


def test_the_bridge_is_turned_on_and_off_and_keeps_its_settings(client: ComfyClient) -> None:
    before = desk(client, "GET", "/settings")
    desk(client, "POST", "/settings", {"names": ["studio.local"]})
    on = desk(client, "POST", "/bridge/start", {})
    assert on["running"]
    assert on["names"] == ["studio.local"]
    devices = desk(client, "GET", "/devices")
    assert devices["running"]
    assert devices["address"] == f"127.0.0.1:{devices['port']}"
    off = desk(client, "POST", "/bridge/stop", {})
    assert not off["running"]
    assert desk(client, "GET", "/devices")["address"] == ""
    desk(client, "POST", "/settings", {"names": before["names"]})
