"""One model file from the Hugging Face Hub, on request only: pinned, checked, safetensors.

A workflow may come from a stranger, so it can name a repository and a file, and nothing else: no address, no
moving revision, no format that holds code.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .names import PathError, checked_relative, inside

MAX_BYTES = 16 * 1024**3
HUB_FOLDER = "hub"

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Progress = Callable[[int, int], None]


class HubError(RuntimeError):
    """A file cannot be had from the Hub; one sentence with the cause and the next step."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository at one commit. Raises HubError for anything that is not exactly that."""

    repository: str
    name: str
    revision: str

    def __post_init__(self) -> None:
        if not _REPOSITORY.fullmatch(self.repository) or ".." in self.repository:
            raise HubError(f"{self.repository!r:.120} is not a repository: write it as owner/name.")
        if not _REVISION.fullmatch(self.revision):
            raise HubError(
                f"{self.revision!r:.120} is not a pinned revision: copy the 40 hex digits of a commit from "
                "the repository's history, so that everybody gets the same file."
            )
        try:
            checked_relative(self.name)
        except PathError:
            raise HubError(
                f"{self.name!r:.120} is not a file of a repository: write its path as shown there."
            ) from None
        if not self.name.endswith(".safetensors"):
            raise HubError(
                f"{self.name!r:.120} is not a safetensors file: only those are fetched, they hold no code."
            )

    @property
    def local_name(self) -> str:
        """Its name among the models once it is here."""
        owner, _, repository = self.repository.partition("/")
        return f"{HUB_FOLDER}/{owner}--{repository}/{self.revision}/{self.name}"


def fetch(
    file: HubFile, folder: Path, progress: Progress | None = None, *, endpoint: str | None = None
) -> Path:
    """Download a file into `folder`, once; a file that is there already needs no network.

    An interrupted download goes on where it stopped. Size and, where the Hub gives one, SHA-256 are checked.

    Args:
        file: what to fetch.
        folder: a model folder; the file goes to `local_name` in it.
        progress: called with (bytes so far, bytes in all); what it raises ends the download.
        endpoint: another Hub, for tests and mirrors.

    Raises:
        HubError: in one sentence.
    """
    target = folder / file.local_name
    if not inside(target, folder):
        raise HubError(f"{file.name!r:.120} would be stored outside {folder.name}: choose another file.")
    if target.is_file():
        return target
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError as error:
        raise HubError(
            "Fetching from the Hugging Face Hub needs the Python package huggingface_hub: "
            "run `pip install huggingface_hub` in ComfyUI's environment."
        ) from error
    what = f"{file.name} of {file.repository}"
    place = file.local_name.removesuffix(file.name)
    try:
        url = hf_hub_url(file.repository, file.name, revision=file.revision, endpoint=endpoint)
        metadata = get_hf_file_metadata(url, endpoint=endpoint)
        _check_metadata(file, metadata)
        hf_hub_download(
            file.repository,
            file.name,
            revision=file.revision,
            local_dir=folder / place,
            endpoint=endpoint,
            tqdm_class=_progress_class(progress, metadata.size),
        )
    except Exception as error:  # huggingface_hub lets several HTTP libraries' own errors through
        raise _explained(error, what) from error
    _check_content(target, metadata.etag, what)
    shutil.rmtree(folder / place / ".cache", ignore_errors=True)
    return target


def _check_metadata(file: HubFile, metadata: Any) -> None:
    if metadata.commit_hash != file.revision:
        raise HubError(f"The Hub answered for another revision than {file.revision}: try again later.")
    if metadata.size is None or metadata.size > MAX_BYTES:
        raise HubError(
            f"{file.name} of {file.repository} has {metadata.size} bytes, more than the {MAX_BYTES} that are "
            "fetched: download it by hand into models/pocketvideo."
        )


def _check_content(target: Path, etag: str | None, what: str) -> None:
    """Large files carry their SHA-256 as ETag."""
    if etag is None or not _SHA256.fullmatch(etag):
        return
    with target.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != etag:
        target.unlink()
        raise HubError(f"{what} arrived damaged (its SHA-256 differs): queue the workflow again.")


def _explained(error: Exception, what: str) -> HubError:
    from huggingface_hub import errors

    if isinstance(error, HubError):
        return error
    if isinstance(error, errors.OfflineModeIsEnabled):
        cause = "HF_HUB_OFFLINE is set: unset it, or put the file into models/pocketvideo by hand."
    elif isinstance(error, errors.GatedRepoError):
        cause = "the repository asks for a licence agreement: accept it on the Hub and run `hf auth login`."
    elif isinstance(error, errors.RepositoryNotFoundError):
        cause = "there is no such public repository: check the name."
    elif isinstance(error, errors.RevisionNotFoundError):
        cause = "the repository has no such revision: copy the commit from its history."
    elif isinstance(error, errors.EntryNotFoundError):
        cause = "the repository has no such file at this revision: check the path."
    elif isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code if error.response is not None else "an error"
        cause = f"the Hub answered {status}: try again later."
    else:
        cause = "the Hub cannot be reached: check the connection, or put the file into models/pocketvideo."
    return HubError(f"{what} was not fetched, because {cause}")


def _progress_class(progress: Progress | None, total: int) -> Any:
    """The progress bar that huggingface_hub drives, calling ours."""
    from huggingface_hub.utils import tqdm

    class Bar(tqdm):
        """Reports to `progress` as well as to the terminal."""

        # A bar that is hidden, as where there is no terminal, does not count by itself.
        def __init__(self, *args: Any, **kwargs: Any):
            super().__init__(*args, **kwargs)
            self.done = int(kwargs.get("initial") or 0)

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            if progress is not None:
                self.done += int(n or 0)
                progress(min(self.done, total), total)
            return shown

    return Bar
