"""An engine comes to its end: what does not stop is ended, and the next engine waits for the place."""

from __future__ import annotations

from pathlib import Path

from browser.conftest import chromium
from phone.conftest import until
from phone_engine.page import engine_page
from unit.engine import small

LOCK = "pocketvideo-engine"
ASK = "() => navigator.locks.query().then((state) => state.{}.some(({{ name }}) => name === '" + LOCK + "'))"
HELD, WAITS = ASK.format("held"), ASK.format("pending")


def test_a_run_that_does_not_stop_is_cancelled_with_its_engine(built: Path, tmp_path: Path) -> None:
    """A file that is read for ever keeps the worker from hearing that it should stop."""
    bundle = small.build(tmp_path / "bundle")
    sha256 = bundle.files["weights/epilogue.safetensors"]["sha256"]
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.patience = 120
        asked: list[str] = []
        page.page.route(f"**/blobs/{sha256}", lambda route: asked.append(route.request.url))
        page.open("wasm")
        page.page.evaluate("void harness.run({}).catch((error) => (globalThis.ended = error))")
        page.wait_for("harness.told.some((one) => one.kind === 'denoise')")
        page.call("cancel")
        page.wait_for("globalThis.ended")
        assert page.page.evaluate("ended.name") == "Cancelled" and asked
        page.page.unroute(f"**/blobs/{sha256}")
        page.open("wasm")
        assert page.run()[0].std() > 20


def test_an_engine_waits_until_the_one_before_is_gone(built: Path, tmp_path: Path) -> None:
    """The page that holds the place stands for a worker that takes its time to end."""
    bundle = small.build(tmp_path / "bundle")
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.patience = 120
        page.page.evaluate(
            f"new Promise((held) => void navigator.locks.request('{LOCK}', () => new Promise((free) => {{"
            " globalThis.free = free; held(); })))"
        )
        page.page.evaluate("void harness.open({ plan: 'wasm' }).then(() => (globalThis.opened = true))")
        until(page.page, WAITS)
        page.page.evaluate("free()")
        page.wait_for("globalThis.opened")
        assert page.page.evaluate(HELD)
        assert page.run()[0].std() > 20
        page.call("close")
        until(page.page, f"{HELD}.then((held) => !held)")


def test_an_engine_that_never_goes_keeps_no_other_from_starting(built: Path, tmp_path: Path) -> None:
    bundle = small.build(tmp_path / "bundle")
    with engine_page(built, bundle, chromium(), tmp_path / "profile") as page:
        page.patience = 120
        page.page.evaluate(f"void navigator.locks.request('{LOCK}', () => new Promise(() => {{}}))")
        page.open("wasm")
        assert page.run()[0].std() > 20
