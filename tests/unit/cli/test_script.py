"""The command that pip installs is the one that `python -m` runs."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path

import pytest

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_the_installed_command_knows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    scripts = tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["scripts"]
    module, _, function = scripts["comfyui_pocketvideo"].partition(":")
    with pytest.raises(SystemExit) as ended:
        getattr(importlib.import_module(module), function)(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    for command in ("pair", "devices", "push", "run", "revoke", "rename", "export"):
        assert f"\n    {command} " in told
