"""Browsers that cannot do everything, and apps that are not of today: each is told, in words."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import re
import shutil
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle
from playwright.sync_api import expect

from browser.conftest import NO_GPU, SOFTWARE_GPU
from phone.conftest import Desk, offline_ready, pair, until
from phone.handset import handset, listen
from phone.person import generate, open_settings, see_video
from phone.screens import look

FIRST_LOAD_BYTES = 300_000
SHIPPED_BYTES = 24_000_000
PATIENCE = 60_000


@contextmanager
def plain_http(folder: Path) -> Iterator[int]:
    """The app over plain HTTP, as nobody should serve it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            del format, arguments

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_an_insecure_address_says_what_to_do(app: Path, tmp_path: Path) -> None:
    rules = "--host-resolver-rules=MAP desk.test 127.0.0.1"
    with plain_http(app) as port, handset(tmp_path, arguments=(*NO_GPU, rules)) as phone:
        page = phone.pages[0]
        page.goto(f"http://desk.test:{port}/")
        expect(page.get_by_role("heading", name="This address is not secure")).to_be_visible()
        expect(page.get_by_text("its address begins with https")).to_be_visible()
        look(page, "insecure")


def test_a_certificate_that_was_only_tapped_through(desk: Desk, tiny: Bundle, tmp_path: Path) -> None:
    """Trust level one: no service worker; all else works while the page is open, and the app says so."""
    with handset(tmp_path, trusting=False, dark=False, language="de-DE") as phone:
        page = phone.pages[0]
        page.goto(desk.code())
        page.get_by_role("button", name="Koppeln").click()
        desk.confirm(page.get_by_test_id("code").inner_text())
        expect(page.get_by_text("Geht, solange diese Seite offen ist.")).to_be_visible()
        expect(page.get_by_role("link", name="So geht es")).to_have_attribute("href", "/trust")
        desk.send(tiny).finish()
        page.get_by_role("button", name=tiny.manifest["name"]).click()
        look(page, "light")
        page.get_by_role("button", name="Erzeugen").click()
        see_video(page)


def test_without_webgpu_the_processor_is_chosen_and_told_before_anything_large_comes(
    desk: Desk, home: Path
) -> None:
    fetched: list[str] = []
    with handset(home) as phone:
        page = phone.pages[0]
        page.on("request", lambda request: fetched.append(request.url))
        page.goto(desk.code())
        expect(page.get_by_text("On the processor")).to_be_visible()
        expect(page.get_by_text("gives no access to a graphics processor")).to_be_visible()
        assert not any(url.endswith(".wasm") for url in fetched)


def test_with_webgpu_the_graphics_processor_computes_and_its_runtime_is_kept(
    desk: Desk, home: Path, tiny: Bundle
) -> None:
    """The software adapter counts: the same plan, and both runtimes are kept for use without the desk."""
    with handset(home, arguments=SOFTWARE_GPU) as phone:
        page = phone.pages[0]
        pair(page, desk)
        report = desk.send(tiny).finish().report
        assert report["seconds"]["self_test"] > 0
        assert "WebGPU" in report["self_test"]["runtime"]
        assert "WebGPU" in desk.bridge.devices()[0].status.runtime
        generate(page, tiny)
        see_video(page)
        offline_ready(page, runtimes=2)
        expect(page.get_by_text("gave up")).to_have_count(0)


def test_the_first_load_is_small_and_the_policy_is_kept(desk: Desk, home: Path) -> None:
    """Own code, compressed, without the runtime; nothing comes from elsewhere, nothing is refused."""
    bodies: dict[str, bytes] = {}
    with handset(home) as phone:
        page = phone.pages[0]
        heard = listen(page)
        page.on("requestfinished", lambda request: bodies.update({request.url: b""}))
        page.goto(desk.code())
        page.get_by_role("button", name="Pair").wait_for()
        origin = re.match(r"https://[^/]+", page.url)
        assert origin and all(url.startswith((origin[0], "blob:")) for url in bodies)
        loaded = page.evaluate(
            "() => performance.getEntriesByType('resource').map((one) => new URL(one.name).pathname)"
        )
        own = [name for name in ["/index.html", *loaded] if re.search(r"\.(js|css|html)$", name)]
        assert len(own) >= 3
        files = {name: (desk.app / name.lstrip("/")).read_bytes() for name in own}
        size = sum(len(gzip.compress(body)) for body in files.values())
        assert size < FIRST_LOAD_BYTES, f"{size} bytes"
        policy = page.evaluate(
            "() => fetch('/').then((answer) => answer.headers.get('Content-Security-Policy'))"
        )
        assert "default-src 'self'" in policy and "unsafe-inline" not in policy
        assert heard == []


@pytest.fixture
def versions(desk: Desk, tmp_path: Path) -> dict[str, Path]:
    """Three builds of the app: an old one, one with a file that is not the build's, and a new one."""
    folders = {name: tmp_path / name for name in ("old", "spoiled", "new")}
    for name, folder in folders.items():
        shutil.copytree(desk.app, folder)
        relabel(folder, name)
    # What an attacker, or a broken disk, makes of a file after the list of digests was written.
    with (folders["spoiled"] / "index.html").open("ab") as spoiled:
        spoiled.write(b"<!-- poison -->")
    return folders


def serve(desk: Desk, app: Path) -> None:
    """Start the desk again with another build of the app."""
    desk.bridge.stop()
    desk.restart(app=app)


def test_t22_what_the_app_adds_to_the_archive_and_the_wheel_is_bounded(app: Path) -> None:
    """Both are zip files; most of it is four builds of the runtime, of which a phone fetches one or two."""
    files = [path for path in app.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {
        *(".html", ".css", ".js", ".mjs", ".wasm", ".svg", ".png", ".txt", ".webmanifest")
    }
    packed = sum(len(zlib.compress(path.read_bytes(), 6)) for path in files)
    assert packed < SHIPPED_BYTES, f"{packed / 1e6:.1f} MB"


def test_t19_a_new_app_waits_until_it_is_wanted_and_then_replaces_the_old_one(
    desk: Desk, home: Path, versions: dict[str, Path]
) -> None:
    """The old one stays whole while it is open; a file that is not the build's is never part of the new."""
    serve(desk, versions["old"])
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        origin = page.url
        offline_ready(page)
        assert page.title() == "PocketVideo old"
        for name in ("spoiled", "new"):
            serve(desk, versions[name])
            page.goto(origin)
            assert page.title() == "PocketVideo old", "what is kept answers first"
            waits = page.evaluate(
                """async () => {
                  const kept = await (await navigator.serviceWorker.ready).update();
                  while (kept.installing) await new Promise((resolve) => setTimeout(resolve, 20));
                  return kept.waiting !== null;
                }"""
            )
            assert waits == (name == "new")
            offer = page.get_by_text("A newer version is here.")
            expect(offer).to_have_count(1 if waits else 0, timeout=PATIENCE)
        page.get_by_role("button", name="Use it now").click()
        expect(page).to_have_title("PocketVideo new", timeout=PATIENCE)
        kept = page.evaluate("() => caches.keys()")
        assert len([name for name in kept if name.startswith("pocketvideo-")]) == 1
        expect(page.get_by_role("heading", name="Workflows", exact=True)).to_be_visible()
        desk.bridge.stop()
        page.goto(origin)
        assert page.title() == "PocketVideo new"


def test_an_open_app_looks_for_a_newer_one_each_hour_and_says_nothing_else(
    desk: Desk, home: Path, versions: dict[str, Path]
) -> None:
    serve(desk, versions["old"])
    with handset(home) as phone:
        page = phone.pages[0]
        page.clock.install()
        # The browser looks by itself after a navigation; what the app asks for is counted, and asked for.
        page.add_init_script(
            """window.looks = 0;
            const { update } = ServiceWorkerRegistration.prototype;
            ServiceWorkerRegistration.prototype.update = function () {
              window.looks += 1;
              return update.call(this);
            };"""
        )
        pair(page, desk)
        offline_ready(page)
        page.goto(page.url)
        until(page, "() => window.looks === 1")
        page.clock.fast_forward("30:00")
        assert page.evaluate("() => window.looks") == 1
        serve(desk, versions["new"])
        page.clock.fast_forward("31:00")
        until(page, "() => window.looks === 2")
        expect(page.get_by_text("A newer version is here.")).to_be_visible(timeout=PATIENCE)
        desk.bridge.stop()
        page.clock.fast_forward("01:01:00")
        until(page, "() => window.looks === 3")
        expect(page.get_by_text("Desk out of reach")).to_be_visible(timeout=PATIENCE)
        expect(page.locator(".notice.bad")).to_have_count(0)


def test_an_app_that_could_not_be_kept_is_kept_once_the_desk_is_back(
    desk: Desk, home: Path, versions: dict[str, Path]
) -> None:
    """The desk went away, or gave a wrong file, while the phone kept the app for the first time."""
    serve(desk, versions["spoiled"])
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        expect(page.get_by_text("Works while this page is open.")).to_be_visible(timeout=PATIENCE)
        serve(desk, versions["old"])
        offline_ready(page)
        origin = page.url
        desk.bridge.stop()
        page.goto(origin)
        assert page.title() == "PocketVideo old"


def test_a_page_that_came_past_the_kept_app_gives_way_to_it(
    desk: Desk, home: Path, versions: dict[str, Path]
) -> None:
    """Chromium asks the network where it cannot start a worker; so does a test that tells it to."""
    serve(desk, versions["old"])
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        offline_ready(page)
        serve(desk, versions["new"])
        # The page is held before it asks, so that its second arrival finds the worker in use again.
        page.add_init_script(
            """const { getRegistration } = ServiceWorkerContainer.prototype;
            ServiceWorkerContainer.prototype.getRegistration = async function (...scope) {
              while (!this.controller && !window.on) await new Promise((resolve) => setTimeout(resolve, 20));
              return getRegistration.apply(this, scope);
            };"""
        )
        browser = phone.new_cdp_session(page)
        browser.send("Network.enable")
        browser.send("Network.setBypassServiceWorker", {"bypass": True})
        page.goto("about:blank")
        page.goto(desk.code(), wait_until="commit")
        expect(page).to_have_title("PocketVideo new", timeout=PATIENCE)
        until(page, "() => !location.hash")
        browser.send("Network.setBypassServiceWorker", {"bypass": False})
        page.evaluate("() => { window.on = true; }")
        expect(page).to_have_title("PocketVideo old", timeout=PATIENCE)
        expect(page.get_by_text("A newer version is here.")).to_be_visible(timeout=PATIENCE)
        # What the code said came along, and is out of the address again.
        expect(page.get_by_role("button", name="Pair", exact=True)).to_be_visible()
        assert "#" not in page.url


def test_a_code_that_is_opened_where_the_app_is_already_is_heard(desk: Desk, home: Path) -> None:
    """The browser stays on the page then, and only the part behind the # is new."""
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        page.goto(desk.code())
        page.get_by_role("button", name="Pair", exact=True).click()
        desk.confirm(page.get_by_test_id("code").inner_text())
        expect(page.get_by_role("heading", name="Workflows", exact=True)).to_be_visible()
        assert "#" not in page.url


def relabel(folder: Path, label: str) -> None:
    """Another version of the app: another title, and a service worker whose list has the page's digest."""
    page, worker = folder / "index.html", folder / "sw.js"
    before = page.read_bytes()
    after = before.replace(b"<title>PocketVideo</title>", f"<title>PocketVideo {label}</title>".encode())
    assert after != before
    page.write_bytes(after)

    def digest(body: bytes) -> str:
        return base64.b64encode(hashlib.sha256(body).digest()).decode()

    code = worker.read_text(encoding="utf-8")
    assert digest(before) in code
    worker.write_text(code.replace(digest(before), digest(after)), encoding="utf-8")


def test_every_language_fits_the_screen(desk: Desk, home: Path) -> None:
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        open_settings(page)
        for language in ("de", "fr", "es", "zh", "ja", "en"):
            page.locator("select").select_option(language)
            assert page.evaluate("() => document.documentElement.lang") == language
            wide = page.evaluate(
                "() => [...document.querySelectorAll('main, nav, button')].filter("
                "(one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"
            )
            assert wide == [], language
