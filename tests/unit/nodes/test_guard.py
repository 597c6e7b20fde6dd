"""The routes on ComfyUI's server answer this server's own pages and nobody else."""

from __future__ import annotations

import pytest
from comfyui_pocketvideo.nodes.host.guard import refusal

PAGE = {
    "Host": "127.0.0.1:8188",
    "Origin": "http://127.0.0.1:8188",
    "X-PocketVideo": "1",
    "Content-Type": "application/json; charset=utf-8",
}


def test_the_own_page_passes() -> None:
    assert refusal("POST", PAGE) is None
    assert refusal("GET", PAGE) is None


def test_a_get_needs_no_origin_because_browsers_send_none() -> None:
    headers = {key: value for key, value in PAGE.items() if key not in ("Origin", "Content-Type")}
    assert refusal("GET", headers) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9", "", None])
def test_t01_a_foreign_or_absent_origin_is_refused(origin: str | None) -> None:
    headers = {key: value for key, value in PAGE.items() if key != "Origin"}
    if origin is not None:
        headers["Origin"] = origin
    reason = refusal("POST", headers)
    assert reason is not None
    assert "another page" in reason


def test_t01_a_foreign_origin_may_not_read_either() -> None:
    assert refusal("GET", {**PAGE, "Origin": "http://evil.example"}) is not None


def test_t01_without_the_header_nothing_passes() -> None:
    headers = {key: value for key, value in PAGE.items() if key != "X-PocketVideo"}
    assert "X-PocketVideo" in (refusal("POST", headers) or "")
    assert "X-PocketVideo" in (refusal("GET", headers) or "")


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_t01_a_form_is_refused(kind: str) -> None:
    assert "JSON" in (refusal("POST", {**PAGE, "Content-Type": kind}) or "")


@pytest.mark.parametrize(
    "host", ["attacker.example:8188", "attacker.example.", "", "[::1", "127.0.0.1.nip.io"]
)
def test_t02_a_name_that_a_stranger_could_own_is_refused(host: str) -> None:
    reason = refusal("POST", {**PAGE, "Host": host, "Origin": f"http://{host}"}, environ={})
    assert reason is not None
    assert "host name" in reason


@pytest.mark.parametrize(
    "host", ["localhost:8188", "192.168.1.20:8188", "[::1]:8188", "studio:8188", "studio.local", "10.0.0.2"]
)
def test_addresses_and_private_names_pass(host: str) -> None:
    assert refusal("POST", {**PAGE, "Host": host, "Origin": f"https://{host}"}, environ={}) is None


def test_a_listed_name_passes() -> None:
    headers = {**PAGE, "Host": "comfy.example.org", "Origin": "https://comfy.example.org"}
    assert refusal("POST", headers, environ={}) is not None
    assert refusal("POST", headers, environ={"POCKETVIDEO_HOSTS": "other, Comfy.example.org"}) is None
