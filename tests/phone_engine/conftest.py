"""What the engine's tests share: the engine and its page, built once."""

from __future__ import annotations

from pathlib import Path

import pytest

from phone_engine.page import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("engine") / "built")
