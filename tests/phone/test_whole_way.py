"""From the code on the desk's screen to a video made on the phone, and then without the desk."""

from __future__ import annotations

import io
import re
from pathlib import Path

import av
import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr
from comfyui_pocketvideo.mobile_runtime.engine import run_bundle
from playwright.sync_api import Page, expect

from phone.conftest import Desk, offline_ready, wait_for
from phone.handset import handset, listen
from phone.person import open_settings
from phone.screens import look

STEPS = 8
MAKING = 120_000
NEW_PROMPT = "a yellow star moves left on a navy background"


def frames_of(video: bytes) -> np.ndarray:
    with av.open(io.BytesIO(video)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def set_steps(page: Page, steps: int) -> None:
    page.get_by_label("Steps").fill(str(steps))


def test_the_whole_way(desk: Desk, home: Path, quickstart: Bundle, tmp_path: Path) -> None:
    """Pair, receive, make, send home; stop the desk and switch the phone off and on; make another."""
    name = quickstart.manifest["name"]
    with handset(home) as phone:
        page = phone.pages[0]
        heard = listen(page)
        page.goto(desk.code())
        origin = re.sub(r"/#.*", "", page.url)
        assert "#" not in page.url and "=" not in page.url, "the secret left the address bar at once"
        page.get_by_role("button", name="Pair").wait_for()
        look(page, "pair")
        page.get_by_role("button", name="Pair").click()
        shown = page.get_by_test_id("code")
        shown.wait_for()
        look(page, "compare")
        device = desk.confirm(shown.inner_text())
        expect(page.get_by_text("No workflow yet")).to_be_visible()
        look(page, "empty")

        sent = desk.send(quickstart)
        expect(page.get_by_role("button", name=name)).to_be_visible(timeout=60_000)
        sent.finish()
        assert {event.stage for event in sent.events} >= {"download", "verify", "self_test"}
        page.get_by_role("button", name=name).click()
        look(page, "workflow")
        set_steps(page, STEPS)
        page.get_by_role("button", name="Generate").click()
        page.get_by_text(re.compile(r"Step [2-9] of")).wait_for()
        look(page, "making")
        page.locator("video").wait_for(timeout=MAKING)
        look(page, "made")
        page.get_by_role("button", name="Send to desk").click()
        expect(page.get_by_role("button", name="At the desk")).to_be_visible()
        sent_video, announced = wait_for(lambda: desk.results)[0]
        assert announced.values["steps"] == STEPS and announced.bundle_id == quickstart.id
        video = frames_of(sent_video)
        truth = run_bundle(quickstart, {"steps": STEPS}, output_dir=tmp_path / "here").frames
        assert video.shape == truth.shape
        assert psnr(truth.astype(np.float32), video.astype(np.float32)) > 24, "what H.264 leaves of it"

        made = desk.run(quickstart, {"steps": STEPS, "prompt": NEW_PROMPT, "seed": "11"}).finish()
        there = run_bundle(
            quickstart, {"steps": STEPS, "prompt": NEW_PROMPT, "seed": 11}, output_dir=tmp_path / "there"
        ).frames
        assert psnr(there.astype(np.float32), made.frames.astype(np.float32)) >= 40
        offline_ready(page)
        assert desk.bridge.devices()[0].status.bundles[0].bundle_id == quickstart.id
        assert heard == []
        keep_the_secret_secret(page, device)

    desk.bridge.stop()
    with handset(home) as phone:
        page = phone.pages[0]
        page.goto(origin)
        expect(page.get_by_text("Desk out of reach")).to_be_visible(timeout=60_000)
        look(page, "library")
        page.get_by_role("button", name=name).click()
        page.get_by_label("Prompt", exact=True).fill("a blue circle moves left on a black background")
        page.get_by_role("button", name="Roll a new seed").click()
        set_steps(page, STEPS)
        page.get_by_role("button", name="Generate").click()
        page.locator("video").wait_for(timeout=MAKING)
        expect(page.get_by_role("button", name="Generate")).to_be_visible()
        page.get_by_role("button", name="Back").click()
        page.get_by_role("button", name="Videos").click()
        expect(page.locator(".tiles li")).to_have_count(3)
        look(page, "videos")
        page.get_by_role("button", name=re.compile("a blue circle")).click()
        expect(page.get_by_text("a blue circle moves left on a black background").last).to_be_visible()
        look(page, "video")
        with page.expect_download() as saving:
            page.get_by_role("link", name="Save").click()
        saved = frames_of(Path(saving.value.path()).read_bytes())
        assert saved.shape == truth.shape and saved.std() > 10
        page.get_by_role("button", name="Back").click()
        open_settings(page)
        look(page, "settings")


def keep_the_secret_secret(page: Page, device: str) -> None:
    """T16, T20: the token is in IndexedDB, and neither in local storage, nor in a cookie or an address."""
    kept = page.evaluate(
        """async () => {
          const open = indexedDB.open("pocketvideo");
          const db = await new Promise((resolve) => { open.onsuccess = () => resolve(open.result); });
          const get = db.transaction("keep").objectStore("keep").get("pairing");
          const pairing = await new Promise((resolve) => { get.onsuccess = () => resolve(get.result); });
          db.close();
          return { pairing, local: JSON.stringify(localStorage), cookie: document.cookie,
                   state: JSON.stringify(history.state), session: JSON.stringify(sessionStorage) };
        }"""
    )
    token = kept["pairing"]["token"]
    assert re.fullmatch("[0-9a-f]{64}", token) and kept["pairing"]["deviceId"] == device
    assert not any(token in kept[place] for place in ("local", "cookie", "state", "session"))
    assert token not in page.url
