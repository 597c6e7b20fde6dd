"""What each route of ComfyUI's page does, as a table of plain functions (docs/desk-api.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ...desk.devices import described
from ...desk.errors import DeskError
from ...desk.folder import BridgeSettings
from ...desk.qr import qr_path
from ...desk.request import SendRequest
from .desk import DEVICES, host_desk

JSON = dict[str, Any]
Action = Callable[[JSON], JSON]
Check = Callable[[Any], bool]

MAX_TEXT = 200
MAX_DEPTH = 64


def _devices(body: JSON) -> JSON:
    return host_desk().devices()


def _settings(body: JSON) -> JSON:
    return host_desk().settings()


def _configure(body: JSON) -> JSON:
    desk = host_desk()
    now = desk.folder.settings()
    names = body.get("names")
    desk.configure(
        BridgeSettings(
            body.get("address", now.address),
            body.get("port", now.port),
            now.names if names is None else tuple(names),
        )
    )
    return desk.settings()


def _start(body: JSON) -> JSON:
    host_desk().start()
    return host_desk().settings()


def _stop(body: JSON) -> JSON:
    host_desk().stop()
    return host_desk().settings()


def _pair(body: JSON) -> JSON:
    desk = host_desk()
    address = body.get("address", "")
    now = desk.folder.settings()
    further = address in now.names
    if address and not further:
        desk.configure(BridgeSettings(address, now.port, now.names))
    bridge = desk.bridge()
    offer = bridge.begin_pairing(address if further else "")
    desk.news.changed(DEVICES)
    size, path = qr_path(offer.uri)
    return {**asdict(offer), "qr": {"size": size, "path": path}, "fingerprint": bridge.fingerprint}


def _cancel_pairing(body: JSON) -> JSON:
    host_desk().bridge().cancel_pairing()
    return {}


def _pending(body: JSON) -> JSON:
    return {"pending": [asdict(device) for device in host_desk().bridge().pending()]}


def _confirm(body: JSON) -> JSON:
    return _told(host_desk().bridge().confirm(_device(body)))


def _refuse(body: JSON) -> JSON:
    host_desk().bridge().refuse(_device(body))
    host_desk().news.changed(DEVICES)
    return {}


def _rename(body: JSON) -> JSON:
    return _told(host_desk().bridge().rename(_device(body), body.get("name", "")))


def _revoke(body: JSON) -> JSON:
    host_desk().bridge().revoke(_device(body))
    host_desk().news.changed(DEVICES)
    return {}


def _told(device: Any) -> JSON:
    host_desk().news.changed(DEVICES)
    return {"device": described(device)}


def _plan(body: JSON) -> JSON:
    return host_desk().sends.plan(_request(body))


def _send(body: JSON) -> JSON:
    return {"send_id": host_desk().sends.submit(_request(body)).send_id}


def _sends(body: JSON) -> JSON:
    return host_desk().sends_list()


def _cancel(body: JSON) -> JSON:
    host_desk().sends.cancel(body.get("send_id", ""))
    return {}


def _retry(body: JSON) -> JSON:
    host_desk().sends.retry(body.get("send_id", ""))
    return {}


def _clear(body: JSON) -> JSON:
    host_desk().sends.clear(body.get("send_id"))
    return {}


def _results(body: JSON) -> JSON:
    return host_desk().results()


def _device(body: JSON) -> str:
    device_id = body.get("device_id")
    if not device_id:
        raise DeskError("The request names no device: choose one from the list.")
    return str(device_id)


def _request(body: JSON) -> SendRequest:
    if "prompt" not in body:
        raise DeskError("The request holds no workflow: send it from ComfyUI's page.")
    given = {name: value for name, value in body.items() if value is not None}
    return SendRequest(**given)


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT


def _text_or_none(value: Any) -> bool:
    return value is None or _text(value)


def _number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 16 and all(_text(item) for item in value)


def _graph(value: Any) -> bool:
    """A JSON object that is not nested deeper than copying it can bear."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
        ]
    return isinstance(value, dict) and not level


def _graph_or_none(value: Any) -> bool:
    return value is None or _graph(value)


DEVICE: Mapping[str, Check] = {"device_id": _text}
SEND: Mapping[str, Check] = {"send_id": _text}
WORKFLOW: Mapping[str, Check] = {
    "prompt": _graph,
    "workflow": _graph_or_none,
    "target": _text_or_none,
    "device_id": _text_or_none,
    "prompts": _text,
    "precision": _text,
    "name": _text_or_none,
}

TABLE: tuple[tuple[str, str, Action, Mapping[str, Check]], ...] = (
    ("GET", "/devices", _devices, {}),
    ("GET", "/settings", _settings, {}),
    ("POST", "/settings", _configure, {"address": _text, "port": _number, "names": _texts}),
    ("POST", "/bridge/start", _start, {}),
    ("POST", "/bridge/stop", _stop, {}),
    ("GET", "/pending", _pending, {}),
    ("POST", "/pair", _pair, {"address": _text}),
    ("POST", "/pair/cancel", _cancel_pairing, {}),
    ("POST", "/confirm", _confirm, DEVICE),
    ("POST", "/refuse", _refuse, DEVICE),
    ("POST", "/rename", _rename, {"device_id": _text, "name": _text}),
    ("POST", "/revoke", _revoke, DEVICE),
    ("POST", "/sends/plan", _plan, WORKFLOW),
    ("POST", "/sends", _send, WORKFLOW),
    ("GET", "/sends", _sends, {}),
    ("POST", "/sends/cancel", _cancel, SEND),
    ("POST", "/sends/retry", _retry, SEND),
    ("POST", "/sends/clear", _clear, SEND),
    ("GET", "/results", _results, {}),
)
