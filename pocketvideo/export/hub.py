"""Bundles to and from a repository of the Hugging Face Hub: `push_bundle`, `pull_bundle`, and the command.

    python -m comfyui_pocketvideo.pocketvideo.export.hub push FOLDER OWNER/NAME
    python -m comfyui_pocketvideo.pocketvideo.export.hub pull OWNER/NAME --out FOLDER

A repository holds one bundle, file by file, so that what two versions share is stored and sent once. What is
pulled proves itself by the digests of its manifest, and holds no code. Who may push is the matter of
`hf auth login`.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...mobile_runtime.bundle import MANIFEST_NAME, Bundle, BundleError
from ...mobile_runtime.bundle.manifest import parse
from .bundling import check_target
from .errors import ExportError
from .modelfile import file_digest

MAX_MANIFEST_BYTES = 16 * 2**20
UNFINISHED = ".unfinished"

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")

Progress = Callable[[int, int, str], None]


def push_bundle(
    folder: str | Path,
    repository: str,
    *,
    private: bool = False,
    revision: str = "main",
    endpoint: str | None = None,
) -> str:
    """Upload a bundle as one commit and return the commit's id; files that the Hub has are not sent again.

    Args:
        folder: a bundle, which is verified first.
        repository: `owner/name`; made where it is not there yet.
        private: make it a private one.
        revision: the branch.
        endpoint: another Hub, for tests and mirrors.

    Raises:
        ExportError: in one sentence; a damaged bundle is not pushed.
    """
    _check_name(repository)
    try:
        bundle = Bundle.open(folder)
        bundle.verify()
    except (BundleError, OSError) as error:
        raise ExportError(f"{Path(folder).name} was not pushed: {error}") from None
    hub = _library()
    names = [*sorted(bundle.files), MANIFEST_NAME]
    operations = [hub.CommitOperationAdd(name, str(Path(folder) / name)) for name in names]
    api = hub.HfApi(endpoint=endpoint)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(
            repository, operations, commit_message=f"Bundle {bundle.id[:12]}", revision=revision
        )
    except Exception as error:  # huggingface_hub lets several HTTP libraries' own errors through
        raise _explained(error, f"The bundle was not pushed to {repository}") from error
    return str(done.oid)


def pull_bundle(
    repository: str,
    out_dir: str | Path,
    *,
    revision: str = "main",
    progress: Progress | None = None,
    endpoint: str | None = None,
) -> Bundle:
    """Download a bundle into `out_dir`, verify it and return it.

    What an interrupted pull has fetched stays beside `out_dir`, and the next one goes on from there.

    Args:
        repository: `owner/name`.
        out_dir: a new folder, or one that holds a bundle, which is replaced once the new one is verified.
        revision: a branch, a tag or a commit; all files come from the commit that it is when the pull begins.
        progress: called with bytes done, bytes in all, and a few words.
        endpoint: another Hub, for tests and mirrors.

    Raises:
        ExportError: in one sentence; nothing is left under `out_dir` that is not a whole bundle.
    """
    _check_name(repository)
    target = Path(out_dir)
    check_target(target)
    hub = _library()
    work = target.with_name(target.name + UNFINISHED)
    what = f"The bundle was not pulled from {repository}"
    try:
        commit = hub.HfApi(endpoint=endpoint).model_info(repository, revision=revision).sha
        fetch = _Fetch(hub, repository, str(commit), work, endpoint)
        # Anew each time: an unfinished folder may be another commit's.
        (work / MANIFEST_NAME).unlink(missing_ok=True)
        fetch(MANIFEST_NAME, None)
        files = parse((work / MANIFEST_NAME).read_bytes())["files"]
        total, done = sum(entry["bytes"] for entry in files), 0
        for entry in files:
            name = entry["path"]
            if progress is not None:
                progress(done, total, f"Fetching {name}")
            here = work / name
            if not (here.is_file() and file_digest(here) == entry["sha256"]):
                here.unlink(missing_ok=True)
                fetch(name, entry["bytes"])
            done += entry["bytes"]
        Bundle.open(work).verify()
    except (ExportError, KeyboardInterrupt):
        raise
    except BundleError as error:
        raise ExportError(f"{what}: {error}") from None
    except Exception as error:  # as above
        raise _explained(error, what) from error
    shutil.rmtree(work / ".cache", ignore_errors=True)
    _drop_strangers(work, {MANIFEST_NAME, *(entry["path"] for entry in files)})
    if target.exists():
        shutil.rmtree(target)
    work.replace(target)
    if progress is not None:
        progress(total, total, "The bundle is verified")
    return Bundle.open(target)


class _Fetch:
    """Downloads files of one commit into a folder."""

    def __init__(self, hub: Any, repository: str, commit: str, folder: Path, endpoint: str | None) -> None:
        self.hub, self.repository, self.commit = hub, repository, commit
        self.folder, self.endpoint = folder, endpoint

    def __call__(self, name: str, size: int | None) -> None:
        """Fetch a file of `size` bytes; None for the manifest, whose size nobody says."""
        url = self.hub.hf_hub_url(self.repository, name, revision=self.commit, endpoint=self.endpoint)
        found = self.hub.get_hf_file_metadata(url, endpoint=self.endpoint).size
        if found is None or (found > MAX_MANIFEST_BYTES if size is None else found != size):
            expected = f"at most {MAX_MANIFEST_BYTES}" if size is None else str(size)
            raise ExportError(
                f"{name} of {self.repository} has {found} bytes and should have {expected}; push the bundle "
                "again."
            )
        self.hub.hf_hub_download(
            self.repository, name, revision=self.commit, local_dir=self.folder, endpoint=self.endpoint
        )


def _drop_strangers(folder: Path, known: set[str]) -> None:
    """Remove what an unfinished pull of another commit left behind."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in known:
            path.unlink()


def _check_name(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository) or ".." in repository:
        raise ExportError(f"{repository!r:.120} is not a repository; write it as owner/name.")


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ExportError(
            "The Hugging Face Hub needs the package huggingface_hub, which is not installed; "
            "run: pip install huggingface_hub."
        ) from None
    return huggingface_hub


def _explained(error: Exception, what: str) -> ExportError:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        cause = "HF_HUB_OFFLINE is set; unset it"
    elif isinstance(error, errors.GatedRepoError):
        cause = "the repository asks for a licence agreement; accept it on the Hub and run `hf auth login`"
    elif isinstance(error, errors.RepositoryNotFoundError):
        cause = "there is no such repository for you; check the name, or run `hf auth login`"
    elif isinstance(error, errors.RevisionNotFoundError):
        cause = "the repository has no such revision; name a branch, a tag or a commit of it"
    elif isinstance(error, errors.EntryNotFoundError):
        cause = "the repository lacks a file of a bundle; push the bundle again"
    elif isinstance(error, errors.LocalTokenNotFoundError):
        cause = "nobody is logged in; run `hf auth login`"
    elif isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code if error.response is not None else "an error"
        cause = f"the Hub answered {status}; run `hf auth login`, or try again later"
    else:
        cause = "the Hub cannot be reached; check the connection and start again"
    return ExportError(f"{what}: {cause}.")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m comfyui_pocketvideo.pocketvideo.export.hub",
        description="Share bundles over the Hugging Face Hub.",
    )
    commands = made.add_subparsers(dest="command", required=True)
    push = commands.add_parser("push", help="upload a bundle")
    push.add_argument("folder", type=Path, help="the bundle")
    push.add_argument("repository", help="OWNER/NAME; made where it is not there yet")
    push.add_argument("--private", action="store_true", help="make a new repository private")
    push.add_argument("--revision", default="main", help="branch (default: %(default)s)")
    pull = commands.add_parser("pull", help="download and verify a bundle")
    pull.add_argument("repository", help="OWNER/NAME")
    pull.add_argument("--out", type=Path, required=True, help="folder for the bundle")
    pull.add_argument("--revision", default="main", help="branch, tag or commit (default: %(default)s)")
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    args = parser().parse_args(arguments)
    try:
        if args.command == "push":
            commit = push_bundle(args.folder, args.repository, private=args.private, revision=args.revision)
            sys.stdout.write(f"pushed to {args.repository} as {commit}\n")
        else:
            bundle = pull_bundle(args.repository, args.out, revision=args.revision, progress=_show)
            sys.stdout.write(f"bundle {bundle.id}: {len(bundle.files)} files in {args.out}\n")
    except (ExportError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _show(done: int, total: int, words: str) -> None:
    sys.stderr.write(f"[{100 * done // max(1, total):3}%] {words}\n")


if __name__ == "__main__":
    sys.exit(main())
