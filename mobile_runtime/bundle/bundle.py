"""A bundle that can be read: a checked manifest and the place of each of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ._types import File, Manifest
from .errors import BundleError, DigestError
from .files import digest, write_atomic
from .manifest import MANIFEST_NAME, bundle_id, file_entry, graph_files, parse, serialise
from .onnx_policy import check_graph
from .strict_json import MAX_BYTES

Locate = Callable[[File], Path]


class Bundle:
    """A compiled workflow on this machine. `id` is the SHA-256 of the manifest, `manifest` the checked dict.

    Made by `Bundle.open` for a folder and by `Store.open` for a store, which keep the files in different
    places.
    """

    def __init__(self, data: bytes, locate: Locate) -> None:
        """Take the manifest's bytes and a function from a file entry to where it lies.

        Raises ManifestError.
        """
        self.data = data
        self.id = bundle_id(data)
        self.manifest: Manifest = parse(data)
        self.files: Mapping[str, File] = {entry["path"]: entry for entry in self.manifest["files"]}
        self._locate = locate

    @classmethod
    def open(cls, folder: str | Path, expected_id: str | None = None) -> Bundle:
        """Open a bundle folder; checks the manifest, and that every file is there with the right length.

        A digest per file is `verify`'s work. `expected_id` is the id that came by a trusted way.
        Raises ManifestError, DigestError or BundleError with one sentence.
        """
        root = Path(folder)
        data = read_manifest(root / MANIFEST_NAME)
        if expected_id is not None and bundle_id(data) != expected_id:
            raise DigestError(
                f"{MANIFEST_NAME} in {root.name} is not the one that was sent; fetch it again.", MANIFEST_NAME
            )
        bundle = cls(data, lambda entry: _contained(root, entry["path"]))
        bundle.check_sizes()
        return bundle

    def path(self, name: str) -> Path:
        """Where a file of the bundle lies. Raises BundleError for a name that the manifest does not list."""
        entry = self.files.get(name)
        if entry is None:
            raise BundleError(f"The bundle {self.manifest['name']!r} has no file {name!r}; export it again.")
        return self._locate(entry)

    def read(self, name: str) -> bytes:
        """The bytes of a file, for the small ones (graphs, tokenizer, photo)."""
        return self.path(name).read_bytes()

    def check_sizes(self) -> None:
        """Raise DigestError naming the first file that is missing, a link, or of the wrong length."""
        for name, entry in self.files.items():
            path = self._locate(entry)
            if path.is_symlink() or not path.is_file():
                raise DigestError(
                    f"{name} of the bundle {self.manifest['name']!r} is missing; fetch it again.", name
                )
            size = path.stat().st_size
            if size != entry["bytes"]:
                raise DigestError(
                    f"{name} of the bundle {self.manifest['name']!r} has {size} bytes instead of"
                    f" {entry['bytes']}; fetch it again.",
                    name,
                )

    def verify(
        self,
        progress: Callable[[str, int], None] | None = None,
        *,
        skip: Callable[[File], bool] = lambda entry: False,
    ) -> None:
        """Hash every file and look into every graph.

        `progress` is told each file's name and length when it is done. A file of which `skip` says that it
        was hashed just now is not hashed again.

        Raises DigestError naming the first bad file, or GraphError naming the graph that a device refuses.
        """
        self.check_sizes()
        graphs = graph_files(self.manifest)
        for name, entry in self.files.items():
            path = self._locate(entry)
            if not skip(entry) and digest(path)[0] != entry["sha256"]:
                raise DigestError(
                    f"{name} of the bundle {self.manifest['name']!r} is damaged (its SHA-256 differs);"
                    " fetch it again.",
                    name,
                )
            if name in graphs:
                check_graph(path.read_bytes(), name)
            if progress is not None:
                progress(name, entry["bytes"])


def read_manifest(path: Path) -> bytes:
    """The bytes of a manifest file, bounded. Raises BundleError when it is missing or too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read ({error.strerror}); name a folder that holds a bundle."
        ) from None
    if len(data) > MAX_BYTES:
        raise BundleError(
            f"{path} is larger than {MAX_BYTES} bytes, so it is no manifest; name another folder."
        )
    return data


def write_bundle(
    folder: str | Path, manifest: Manifest, known: Mapping[str, tuple[str, int]] | None = None
) -> Bundle:
    """Finish a bundle folder whose files are in place: hash them, write manifest.json, return the Bundle.

    `manifest["files"]` is replaced by what the folder holds. `known` gives digests (path -> SHA-256, bytes)
    that the caller has already computed for exactly these files. Raises BundleError when a file is a link,
    when the manifest does not add up, or when a graph is one that a device would refuse.
    """
    root = Path(folder)
    digests = known or {}
    entries = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            raise BundleError(
                f"{name} is a link, and a bundle holds files only; copy the file into the bundle."
            )
        if path.is_dir() or name == MANIFEST_NAME:
            continue
        sha256, size = digests[name] if name in digests else digest(path)
        entries.append(file_entry(name, sha256, size))
    finished: Manifest = {**manifest, "files": entries}
    data = serialise(finished)
    for name in graph_files(finished):
        check_graph((root / name).read_bytes(), name)
    write_atomic(root / MANIFEST_NAME, data)
    return Bundle.open(root)


def _contained(root: Path, name: str) -> Path:
    path = root / name
    # The path pattern cannot climb out; a link inside the folder could.
    if not path.resolve().is_relative_to(root.resolve()):
        raise BundleError(f"{name} leads out of its bundle; fetch the bundle again.")
    return path
