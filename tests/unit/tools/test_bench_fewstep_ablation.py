"""The ablation's judgements are kept beside each run, and made again when anything they depend on changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from bench_fewstep_ablation import kept

    return kept


def test_a_stopped_ablation_judges_no_recipe_twice(kept: Any, tmp_path: Path) -> None:
    calls: list[str] = []

    def judge(name: str) -> list[dict[str, str]]:
        calls.append(name)
        return [{"way": name}]

    settings = {"seed": 1, "step": 240, "recipe": {"heads": ["both"]}}
    first = kept(tmp_path / "run", settings, lambda: judge("first"))
    assert first == [{"way": "first"}]
    assert kept(tmp_path / "run", settings, lambda: judge("again")) == first
    assert kept(tmp_path / "run", {**settings, "step": 120}, lambda: judge("later")) == [{"way": "later"}]
    assert calls == ["first", "later"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["judged.json"]
