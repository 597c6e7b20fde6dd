"""Rules for every file: what the registry's archive holds, what code may not do, what importing does."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pathspec
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = "comfyui_pocketvideo"
# The one command that reads a published .pth, to write it as safetensors.
PICKLE_READER = "pocketvideo/models/convert.py"
CODE_ROOMS = ("nodes", "cli", "desk", "pocketvideo", "mobile_runtime")
SHIPPED = (
    r"__(init|main)__\.py",
    r"(nodes|cli|desk|pocketvideo|mobile_runtime)/.*\.py",
    r"mobile_runtime/bundle/.*\.schema\.json",
    r"mobile_runtime/bridge/site/[a-z]+\.(html|css)",
    r"web/.*\.(js|mjs|css|md|svg|png|jpg)",
    r"workflows/[^/]+\.(json|jpg)",
    r"locales/[a-z-]+/[A-Za-z]+\.json",
    r"subgraphs/[^/]+\.json",
    r"models/pocketvideo/[^/]+\.(safetensors|md)",
    r"pocketvideo/training/(fewstep/)?recipes/[^/]+\.json",
    r"pocketvideo/export/widgets\.json",
    r"models/pocketvideo/\.gitkeep",
    r"README\.md|CHANGELOG\.md|LICENSE|pyproject\.toml|requirements\.txt",
)
MAX_LINES = 400
# A file that a program writes says so first, and nobody reads it.
GENERATED = b'"""Generated from '
MAX_SHIPPED_BYTES = 40 * 1024 * 1024


def repository_files() -> list[str]:
    """Tracked files, and new ones that git does not ignore: they are the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    names = listed.stdout.decode().split("\0")
    return sorted({name for name in names if name and (REPOSITORY / name).is_file()})


def shipped_files() -> list[str]:
    """The archive's list as the registry's command-line tool makes it: git's files without .comfyignore's."""
    patterns = (REPOSITORY / ".comfyignore").read_text(encoding="utf-8").splitlines()
    ignored = pathspec.PathSpec.from_lines("gitignore", patterns)
    return [name for name in repository_files() if not ignored.match_file(name)]


def shipped_code() -> list[str]:
    return [name for name in shipped_files() if name.endswith(".py")]


def parsed(name: str) -> ast.Module:
    return ast.parse((REPOSITORY / name).read_text(encoding="utf-8"), name)


def dotted(node: ast.expr) -> str:
    """`torch.load` for the expression of that name, and an empty string for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and dotted(node.value):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_t22_the_archive_holds_only_files_of_known_kinds() -> None:
    unknown = [name for name in shipped_files() if not any(re.fullmatch(kind, name) for kind in SHIPPED)]
    assert not unknown, f"add these to .comfyignore, or to SHIPPED with a reason: {unknown}"


def test_t22_the_archive_is_complete_and_small() -> None:
    shipped = shipped_files()
    for needed in ("__init__.py", "LICENSE", "README.md", "pyproject.toml", "requirements.txt"):
        assert needed in shipped
    assert any(name.startswith("web/docs/") for name in shipped), "the nodes' help pages ship"
    size = sum((REPOSITORY / name).stat().st_size for name in shipped)
    assert size < MAX_SHIPPED_BYTES, f"the archive would hold {size / 2**20:.0f} MiB"


def test_t22_the_registrys_own_lint_finds_nothing() -> None:
    rules = "S102,S104,S301,S307,S602,S605,E702"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", rules, *shipped_code()],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_t22_shipped_code_runs_no_text_and_no_commands() -> None:
    forbidden_calls = {
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "os.execv",
        "runpy.run_path",
    }
    forbidden_modules = {"subprocess", "pip", "pty", "ctypes", "multiprocessing"}
    found = []
    for name in shipped_code():
        tree = parsed(name)
        found += [
            f"{name}:{node.lineno} calls {called}"
            for called, node in calls(tree)
            if called in forbidden_calls
        ]
        found += [
            f"{name} imports {module}"
            for module in imports(tree)
            if module.split(".")[0] in forbidden_modules
        ]
    assert not found, found


def test_t11_pickle_is_read_in_one_command_and_only_as_plain_weights() -> None:
    found = []
    for name in shipped_code():
        tree = parsed(name)
        pickled = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
        found += [f"{name} imports {module}" for module in imports(tree) if module.split(".")[0] in pickled]
        for called, node in calls(tree):
            keywords = {keyword.arg: keyword.value for keyword in node.keywords}
            if called in ("torch.load", "torch.jit.load", "torch.serialization.load"):
                weights_only = keywords.get("weights_only")
                safe = isinstance(weights_only, ast.Constant) and weights_only.value is True
                if name != PICKLE_READER or called != "torch.load" or not safe:
                    found.append(f"{name}:{node.lineno} calls {called}")
            allow_pickle = keywords.get("allow_pickle")
            if allow_pickle is not None and not (
                isinstance(allow_pickle, ast.Constant) and allow_pickle.value is False
            ):
                found.append(f"{name}:{node.lineno} allows pickle")
        # `from torch import load` would hide from the lines above.
        found += [
            f"{name}:{node.lineno} imports load from {node.module}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] == "torch"
            and any(alias.name == "load" for alias in node.names)
        ]
    assert not found, found


def test_the_pack_imports_itself_relatively() -> None:
    """ComfyUI loads the folder under a path-made name, where `nodes` is ComfyUI's own module."""
    wrong = [
        f"{name} imports {module}"
        for name in shipped_code()
        for module in imports(parsed(name))
        if module.split(".")[0] in (PACKAGE, *CODE_ROOMS)
    ]
    assert not wrong, wrong


def test_python_files_are_ascii_and_of_one_idea() -> None:
    for name in repository_files():
        if name.endswith(".py"):
            text = (REPOSITORY / name).read_bytes()
            assert text.isascii(), f"{name} holds characters beyond ASCII"
            lines = 0 if text.startswith(GENERATED) else text.count(b"\n")
            assert lines <= MAX_LINES, f"{name} has {lines} lines: which room is missing?"


def test_nothing_names_the_machine_it_was_written_on() -> None:
    home = r"(?<![\w.~-])/(?:work|root|opt)" + r"/[\w.]"
    hosts = r"pypi\.(?:org|python)|python" + r"hosted\.org|registry\." + r"npmjs"
    pattern = re.compile(f"{home}|{hosts}")
    for name in repository_files():
        raw = (REPOSITORY / name).read_bytes()
        if b"\0" not in raw:
            hit = pattern.search(raw.decode("utf-8"))
            assert hit is None, f"{name} names {hit and hit.group()}"


def test_the_metadata_agrees_with_the_tree() -> None:
    metadata = project()
    packages = {
        ".".join((PACKAGE, *Path(name).parent.parts))
        for name in repository_files()
        if name.endswith("__init__.py") and name.split("/")[0] in ("__init__.py", *CODE_ROOMS)
    }
    assert set(metadata["tool"]["setuptools"]["packages"]) == packages
    requirements = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in requirements if line and line[0] != "#"] == metadata["project"]["dependencies"]
    version = metadata["project"]["version"]
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert (REPOSITORY / metadata["tool"]["comfy"]["Icon"]).is_file()
    assert "comfyui" not in metadata["project"]["name"].lower()
    assert "web" not in metadata["tool"]["comfy"], (
        "WEB_DIRECTORY is exported by __init__.py; both load it twice"
    )


@pytest.mark.parametrize("extra", [None, *project()["project"]["optional-dependencies"]])
def test_no_requirement_replaces_the_users_torch(extra: str | None) -> None:
    metadata = project()["project"]
    wanted = metadata["dependencies"] if extra is None else metadata["optional-dependencies"][extra]
    for requirement in wanted:
        name, *version = re.split(r"(?=[<>=!~\[])", requirement, maxsplit=1)
        assert name.strip() not in ("torch", "torchvision", "torchaudio", "comfyui")
        assert name.strip() != "onnxruntime" or extra is not None, "it fights with onnxruntime-gpu"
        assert not version or version[0].startswith((">=", "[")), f"{requirement} is not lower-bounded alone"


IMPORT_PROBE = """
import importlib, json, sys, threading
seen = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append(f"opened {arguments[0]} to write")
    elif event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir"):
        seen.append(f"{event} {arguments[-1]}")
first, *others = sys.argv[1:]
for module in filter(None, first.split(",")):
    importlib.import_module(module)
sys.addaudithook(watch)
for module in others:
    importlib.import_module(module)
tops = sorted({name.split(".")[0] for name in sys.modules})
print(json.dumps({"seen": seen, "threads": threading.active_count(), "modules": tops}))
"""


def import_in_new_process(*modules: str, first: str = "") -> dict:
    """Import modules in a fresh interpreter and tell what that did; `first` are imported unwatched."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_PROBE, first, *modules],
        cwd=REPOSITORY.anchor,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def modules_of(room: str) -> list[str]:
    names = [
        ".".join((PACKAGE, *Path(name).with_suffix("").parts)).removesuffix(".__init__")
        for name in shipped_code()
        if name.startswith(f"{room}/")
    ]
    return [name for name in names if not name.endswith("__main__")]


def test_importing_the_pack_does_nothing() -> None:
    told = import_in_new_process(PACKAGE)
    assert told["seen"] == []
    assert told["threads"] == 1
    assert not {"torch", "comfy", "numpy", "aiohttp", "transformers"} & set(told["modules"])


def test_the_library_imports_without_comfyui_and_without_side_effects() -> None:
    # What other packages do when they are imported is theirs: they come first and unwatched.
    told = import_in_new_process(
        *modules_of("pocketvideo"),
        first="torch,diffusers,transformers,accelerate,onnx,onnxscript,matplotlib.pyplot",
    )
    assert told["seen"] == []
    assert not {"comfy", "comfy_api", "folder_paths", "server"} & set(told["modules"])


def test_what_leaves_the_desk_imports_without_torch_and_without_side_effects() -> None:
    told = import_in_new_process(
        *modules_of("mobile_runtime"), first="numpy,onnxruntime,aiohttp,tokenizers,av,cryptography.x509"
    )
    assert told["seen"] == []
    assert (
        told["threads"] == import_in_new_process(first="numpy,onnxruntime,aiohttp,tokenizers,av")["threads"]
    )
    assert not {"torch", "diffusers", "transformers", "onnx", "comfy"} & set(told["modules"])
