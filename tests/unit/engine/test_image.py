"""Photos are decoded as ComfyUI's Load Image decodes them, by ffmpeg instead of Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from comfyui_pocketvideo.mobile_runtime.engine import InputError
from comfyui_pocketvideo.mobile_runtime.engine import image as module
from comfyui_pocketvideo.mobile_runtime.engine.image import check_photo, decode_photo
from comfyui_pocketvideo.mobile_runtime.engine.orientation import orientation
from PIL import Image, ImageOps


def picture(mode: str = "RGB") -> Image.Image:
    rows, columns = np.mgrid[0:24, 0:40]
    pixels = np.stack([rows * 10, columns * 6, 255 - rows * 5, 100 + columns * 3], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels, "RGBA").convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_png_is_exact(mode: str) -> None:
    data = encoded(picture(mode), "PNG")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(decode_photo(data), expected)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"quality": 95, "subsampling": 0}), ("WEBP", {"lossless": True}), ("BMP", {})],
)
def test_other_formats_are_close(kind: str, options: dict[str, object]) -> None:
    data = encoded(picture(), kind, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)
    found = decode_photo(data).astype(int)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 3


def transposed(data: bytes) -> np.ndarray:
    """As Pillow turns it."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")).astype(int)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("held", range(10))
def test_a_turned_or_mirrored_photo_is_upright(held: int, order: str) -> None:
    """With and without transparency; numbers that EXIF does not know mean nothing."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F] = "A maker"
    exif[0x0112] = held
    given = exif.tobytes()
    for mode, kind, options in (
        ("RGB", "JPEG", {"quality": 95, "subsampling": 0}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGBA", "WEBP", {"lossless": True, "exact": True}),
        ("LA", "PNG", {}),
        ("RGBA", "PNG", {}),
    ):
        data = encoded(picture(mode), kind, exif=given, **options)
        expected, found = transposed(data), decode_photo(data).astype(int)
        assert found.shape == expected.shape, (kind, mode)
        assert np.abs(found - expected).max() <= (3 if kind == "JPEG" else 0), (kind, mode)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_that_cannot_be_read_means_upright(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = exif.tobytes()
    assert orientation(encoded(picture("RGB"), kind, exif=whole)) == 6
    entry = whole.index(b"\x12\x01") if exif.endian == "<" else whole.index(b"\x01\x12")
    for end in range(6, entry + 12):
        damaged = encoded(picture("RGB"), kind, exif=whole[:end])
        assert orientation(damaged) == 1, end
        assert decode_photo(damaged).shape == (24, 40, 3), end
    photo = encoded(picture("RGB"), kind, exif=whole)
    begin = photo.index(whole[6:])
    for end in range(begin + 18):
        assert orientation(photo[:end]) == 1, end


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n/etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"GIF89a" + b"\0" * 100,
        b"\x89PNG\r\n\x1a\n",
        encoded(picture(), "PNG")[:60],
        b"\xff\xd8\xff" + b"\0" * 500,
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        decode_photo(data)
    assert "\n" not in str(caught.value)


def test_too_many_pixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(), "PNG")
    monkeypatch.setattr(module, "MAX_PIXELS", 24 * 40 - 1)
    with pytest.raises(InputError, match="pixels"):
        decode_photo(data)


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(picture(), "PNG")
    monkeypatch.setattr(module, "MAX_BYTES", len(data) - 1)
    with pytest.raises(InputError, match="bytes and the limit"):
        check_photo(data)
