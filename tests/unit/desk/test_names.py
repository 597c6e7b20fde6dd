"""Names from widgets cannot leave their folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from comfyui_pocketvideo.desk.names import PathError, checked_relative, inside

HOSTILE = [
    "",
    ".",
    "..",
    "../x.safetensors",
    "a/../../x.safetensors",
    "a/..",
    "..\\x.safetensors",
    "a\\..\\..\\x",
    "/etc/passwd",
    "\\\\server\\share\\x",
    "//server/share/x",
    "C:\\x.safetensors",
    "C:x",
    "x:stream",
    "a//b",
    "a/./b",
    "a/",
    "a\0b",
    "a\nb",
    "a./b",
    "...",
    "a /b",
    "\u202egnp.exe",
    "x" * 2000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_t07_path_traversal_is_refused(name: str) -> None:
    with pytest.raises(PathError):
        checked_relative(name)


@pytest.mark.parametrize(
    "name", ["x.safetensors", "hub/a--b/x.safetensors", "a\\b.safetensors", "a b.png", "%2e%2e"]
)
def test_plain_names_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    assert inside(tmp_path / checked_relative(name), tmp_path)


def test_t07_a_link_that_leads_out_is_not_inside(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    (folder / "link").symlink_to(tmp_path / "secret")
    assert not inside(folder / "link", folder)


def test_a_folder_that_is_itself_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/x").write_text("x")
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert inside(tmp_path / "models/x", tmp_path / "models")
