"""What the scripts for ComfyUI's page must never do: its origin belongs to every pack's scripts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"
SCRIPTS = sorted((*WEB.rglob("*.js"), *WEB.rglob("*.mjs")))
# Names of devices and workflows would become markup or code (T14).
MARKUP = r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval|Function)\b\s*[=(]"
# What is kept, every other pack can read (T20).
STORAGE = r"\b(localStorage|sessionStorage|indexedDB|document\.cookie|caches)\b"
# ComfyUI answers with `default-src 'self'`, and a page that loads from elsewhere tells who uses it.
STRANGERS = r"""(from|import)\s*\(?\s*["'`](https?:)?//"""


@pytest.mark.parametrize("pattern", [MARKUP, STORAGE, STRANGERS], ids=["t14", "t20", "strangers"])
def test_t14_t20_scripts_parse_no_markup_and_keep_nothing(pattern: str) -> None:
    assert len(SCRIPTS) > 10
    found = [
        f"{script.name}:{number}: {line.strip()}"
        for script in SCRIPTS
        for number, line in enumerate(script.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line.partition("//")[0] if pattern is not STRANGERS else line)
    ]
    assert found == []


def test_every_imported_module_is_there() -> None:
    for script in SCRIPTS:
        for module in re.findall(r'from "(\.{1,2}/[^"]+)"', script.read_text(encoding="utf-8")):
            if "/scripts/" in module:
                continue  # ComfyUI's own
            assert (script.parent / module).is_file(), f"{script.name} imports {module}"
