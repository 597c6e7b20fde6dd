"""What the desk learns of a phone: how it is, what its self-test said, and the videos that it made."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from comfyui_pocketvideo.mobile_runtime.bundle import Bundle, psnr
from PIL import Image, ImageSequence
from playwright.sync_api import expect

from phone.conftest import Desk, pair, wait_for
from phone.handset import handset
from phone.person import delete, generate, open_settings, see_video
from unit.bridge import tiny_bundle

MB = 10**6
# Of the bundle below, with its networks and its list; the browser tells every page of about as much room.
STORED = re.compile(r"^6(\.\d)? MB of \d+ GB used$")


def test_the_desk_knows_at_once_what_is_on_the_phone(desk: Desk, home: Path, tiny: Bundle) -> None:
    """It refuses by what it knows: a phone that made room must say so."""

    def held() -> list[str]:
        status = desk.bridge.devices()[0].status
        return [one.bundle_id for one in status.bundles] if status else []

    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        desk.send(tiny).finish()
        wait_for(lambda: held() == [tiny.id])
        delete(page, tiny)
        wait_for(lambda: held() == [])


def test_what_is_stored_is_counted_and_a_phone_that_restarts_still_knows(
    desk: Desk, home: Path, tmp_path: Path
) -> None:
    """Chromium's own estimate forgets, with each start, what grew through a worker's file handles."""
    bundle = tiny_bundle.build(tmp_path / "heavy", ballast=(6 * MB,))
    with handset(home) as phone:
        page = phone.pages[0]
        pair(page, desk)
        origin = page.url
        desk.send(bundle).finish()
        open_settings(page)
        expect(page.get_by_text(STORED)).to_be_visible()
    with handset(home) as phone:
        page = phone.pages[0]
        page.goto(origin)
        open_settings(page)
        expect(page.get_by_text(STORED)).to_be_visible()
        page.get_by_role("button", name="Workflows").click()
        delete(page, bundle)
        open_settings(page)
        expect(page.get_by_text(re.compile(r"^0 bytes of \d+ GB used$"))).to_be_visible()


def test_an_install_tells_what_the_self_test_found(desk: Desk, home: Path, tiny: Bundle) -> None:
    """As the agent does: for every component the PSNR, where null is an exact match, and its bar."""
    with handset(home) as phone:
        pair(phone.pages[0], desk)
        for work in (desk.send(tiny), desk.run(tiny, {})):
            told = work.finish().report["self_test"]
            assert told["runtime"] == "onnxruntime-web, WebAssembly"
            assert set(told["components"]) == set(tiny.manifest["self_test"]["components"])
            for one in told["components"].values():
                assert one["psnr"] is None or one["psnr"] >= one["min_psnr"] > 0
                assert one["seconds"] >= 0


def test_without_webcodecs_videos_are_animated_webp_here_and_at_the_desk(
    desk: Desk, home: Path, tiny: Bundle
) -> None:
    with handset(home) as phone:
        page = phone.pages[0]
        page.add_init_script("delete globalThis.VideoEncoder;")
        pair(page, desk)
        made = desk.run(tiny, {}).finish()
        assert made.mime == "image/webp"
        assert psnr(made.frames.astype(np.float32), stills(made.video).astype(np.float32)) > 24
        generate(page, tiny)
        see_video(page, "img")
        page.get_by_role("button", name="Send to desk").click()
        sent, announced = wait_for(lambda: desk.results)[0]
        assert announced.mime == "image/webp" and stills(sent).shape == made.frames.shape


def stills(video: bytes) -> np.ndarray:
    """The frames of an animated WebP."""
    with Image.open(io.BytesIO(video)) as picture:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(picture)])
