"""Every threat of docs/security.md has tests that carry its number, and they are where the document says.

Beside that, what no other test holds: no archive is opened (T8), vendored and locked JavaScript (T15), the
storage of ComfyUI's origin (T20), and what the wheel holds (T22).
"""

from __future__ import annotations

import ast
import functools
import json
import re
import subprocess
import sys
import zipfile

import pytest

from unit.test_house_rules import REPOSITORY, SHIPPED, imports, parsed, repository_files, shipped_code

DOCUMENT = REPOSITORY / "docs" / "security.md"
THREATS = tuple(range(1, 23))
ROW = re.compile(r"^\| T(\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
# A browser's stores, by the names that a script could use; the fetch cache is the frontend's own concern.
STORES = re.compile(
    r"\b(localStorage|sessionStorage|indexedDB|document\s*\.\s*cookie|caches|StorageManager)\b"
)


@functools.cache
def files_by_threat() -> dict[int, set[str]]:
    """The files below tests/ that hold a test `test_tNN_...`, by NN."""
    found: dict[int, set[str]] = {number: set() for number in THREATS}
    for name in repository_files():
        if re.fullmatch(r"tests/.*/test_\w+\.py", name):
            for node in ast.walk(parsed(name)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    for number in re.findall(r"_t(\d\d)(?=_)", node.name.removeprefix("test")):
                        found[int(number)].add(name)
    return found


def rows() -> list[tuple[int, list[str]]]:
    """(threat, files that the document names) for each row of its table."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return [(int(number), re.findall(r"`([^`]+)`", files)) for number, _, _, files in ROW.findall(text)]


@pytest.mark.parametrize("number", THREATS)
def test_each_threat_has_a_test_of_its_number(number: int) -> None:
    assert files_by_threat()[number], f"no test is named test_t{number:02d}_..."


def test_the_document_has_each_threat_once_and_names_where_its_tests_are() -> None:
    assert [number for number, _ in rows()] == list(THREATS)
    held = files_by_threat()
    for number, files in rows():
        assert files, f"T{number} names no test file"
        for name in files:
            assert f"tests/{name}" in held[number], f"tests/{name} has no test_t{number:02d}_..."


def test_t08_nothing_that_ships_opens_an_archive() -> None:
    archives = {"zipfile", "tarfile", "zipimport", "lzma", "bz2", "gzip"}
    found = [
        f"{name} imports {module}"
        for name in shipped_code()
        for module in imports(parsed(name))
        if module.split(".")[0] in archives
    ]
    for name in shipped_code():
        if re.search(r"\bunpack_archive\b", (REPOSITORY / name).read_text(encoding="utf-8")):
            found.append(f"{name} unpacks an archive")
    assert not found, found


def test_t15_the_packs_own_scripts_hold_no_vendored_library() -> None:
    for name in repository_files():
        if not (name.startswith("web/") and name.endswith((".js", ".mjs"))):
            continue
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert max(map(len, text.splitlines())) <= 200, f"{name} looks minified"
        for target in re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", text):
            # The host serves its two modules under these paths.
            assert target.startswith(("./", "../")), f"{name} imports {target}"
        assert not re.search(r"""["'`](https?:)?//[a-z0-9.-]+\.[a-z]{2,}/[^"'`]*\.m?js""", text), name


def test_t15_every_package_of_the_phones_app_is_pinned_by_version_and_hash() -> None:
    folder = REPOSITORY / "mobile_runtime" / "phone"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert len(packages) > 20
    for name, entry in packages.items():
        assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry.get("integrity", "")), name
        assert re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", entry["version"]), name
        # Where from is the installer's business; what, is the hash's.
        assert "resolved" not in entry, name
        assert "gypfile" not in entry, name
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    for group in ("dependencies", "devDependencies"):
        for name, version in wanted.get(group, {}).items():
            assert re.fullmatch(r"\d+\.\d+\.\d+[\w.+-]*", version), f"{name} is not pinned"


def test_t20_nothing_is_kept_in_the_storage_of_comfyuis_origin() -> None:
    scripts = [name for name in repository_files() if re.fullmatch(r"web/.*\.m?js", name)]
    assert scripts
    for name in scripts:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", (REPOSITORY / name).read_text(encoding="utf-8"), flags=re.S)
        assert not STORES.findall(code), f"{name} keeps something in the browser"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as it would be published, built from this tree's files."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in repository_files():
        if not name.startswith(("tests/", "benchmarks/", "docs/", "mobile_runtime/phone/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPOSITORY / name).read_bytes())
    code = "import setuptools.build_meta as build; print(build.build_wheel('..'))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_t22_the_wheel_holds_the_pack_and_no_secret(wheel: zipfile.ZipFile) -> None:
    names = [name for name in wheel.namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"comfyui_pocketvideo"}
    inside = [name.removeprefix("comfyui_pocketvideo/") for name in names]
    unknown = [name for name in inside if not any(re.fullmatch(kind, name) for kind in SHIPPED)]
    assert not unknown, unknown
    for needed in (
        "__init__.py",
        "web/pocketvideo.js",
        "mobile_runtime/bridge/service.py",
        "mobile_runtime/bridge/site/trust.html",
        "mobile_runtime/bridge/site/trust.css",
        "mobile_runtime/bridge/site/plain.html",
        "mobile_runtime/bundle/manifest.schema.json",
    ):
        assert needed in inside, needed
    secret = re.compile(
        rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{30}|\bhf_[A-Za-z0-9]{30}"
        rb"|\bsk-[A-Za-z0-9]{32}|\bAKIA[0-9A-Z]{16}\b|\bnpm_[A-Za-z0-9]{36}|\bpypi-[A-Za-z0-9_-]{60}"
    )
    for name in wheel.namelist():
        assert not name.endswith((".pem", ".key", ".crt", ".p12", ".pkl", ".pt", ".pth", ".env")), name
        if not name.endswith(".safetensors"):
            assert not secret.search(wheel.read(name)), f"{name} holds what looks like a secret"


def test_t22_what_ships_matches_no_pattern_of_a_scanner() -> None:
    """What the registry's and Bandit's rules look for in any text, beyond ruff's in test_house_rules.py."""
    patterns = {
        "a bind to every interface": r"""["']0\.0\.0\.0["']""",
        "TLS verification turned off": r"verify\s*=\s*False|ssl\._create_unverified_context",
        "a weak hash for security": r"hashlib\.(md5|sha1)\(",
        "a shell": r"shell\s*=\s*True",
        "code in base64": r"b64decode\([^)]*\)\s*\)?\s*\.decode\(\)\s*\)?\s*#?\s*exec",
        "a download at import": r"^(urllib\.request\.|requests\.)",
    }
    for name in shipped_code():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for what, pattern in patterns.items():
            assert not re.search(pattern, text, re.MULTILINE), f"{name} has {what}"
