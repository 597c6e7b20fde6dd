"""Photos on the phone are the desk's, pixel by pixel, however they were held, below transparency too."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine.image import decode_photo
from PIL import Image

from browser.conftest import chromium
from phone_engine.page import EnginePage, engine_page
from unit.engine import small

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def page(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnginePage]:
    folder = tmp_path_factory.mktemp("photos")
    with engine_page(built, small.build(folder / "bundle"), chromium(), folder / "profile") as page:
        yield page


def photo(kind: str, mode: str, orientation: int) -> bytes:
    """Noise, a part of it hidden, stored as it was held."""
    pixels = np.random.default_rng(orientation).integers(0, 256, (9, 14, 4), dtype=np.uint8)
    pixels[:4, :, 3] = 0
    picture = Image.fromarray(pixels, "RGBA")
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options: dict[str, object] = {"exif": exif.tobytes()}
    if mode == "P":
        picture = picture.convert("RGB").quantize(16)
        options["transparency"] = 0
    if kind == "WEBP":
        options |= {"lossless": True, "exact": True}
    made = io.BytesIO()
    (picture if mode == "P" else picture.convert(mode)).save(made, kind, **options)
    return made.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("PNG", "P"), ("PNG", "RGB"), ("WEBP", "RGBA"), ("WEBP", "RGB")],
)
def test_a_photo_is_the_desks_however_it_was_held(page: EnginePage, kind: str, mode: str) -> None:
    for orientation in range(1, 9):
        data = photo(kind, mode, orientation)
        expected = decode_photo(data)
        assert expected.shape == ((9, 14, 3) if orientation < 5 else (14, 9, 3))
        np.testing.assert_array_equal(page.decode(data), expected, f"orientation {orientation}")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_damaged_exif_turns_nothing(page: EnginePage, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    given = exif.tobytes()
    pixels = np.random.default_rng(1).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    for damaged in (given[:20], given[:-6], given[:10] + bytes([255]) * 40, given[:6] + b"XX" + given[8:]):
        made = io.BytesIO()
        options = {"lossless": True} if kind == "WEBP" else {}
        Image.fromarray(pixels).save(made, kind, exif=damaged, **options)
        np.testing.assert_array_equal(page.decode(made.getvalue()), pixels)
        np.testing.assert_array_equal(decode_photo(made.getvalue()), pixels)


def test_a_jpeg_is_nearly_the_desks_however_it_was_held(page: EnginePage) -> None:
    """The browser's decoder and ffmpeg's round differently; noise would hide how it is turned no less."""
    rows, columns = np.mgrid[0:32, 0:48]
    pixels = np.stack([rows * 7, columns * 5, 255 - rows * 5], axis=-1).astype(np.uint8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        made = io.BytesIO()
        Image.fromarray(pixels).save(made, "JPEG", quality=95, subsampling=0, exif=exif.tobytes())
        expected = decode_photo(made.getvalue()).astype(int)
        found = page.decode(made.getvalue()).astype(int)
        assert found.shape == expected.shape and np.abs(found - expected).max() <= 3
