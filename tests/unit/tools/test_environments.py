"""The set-up command, with real virtual environments and real pip, and no registry."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import environments
from environments import Environment, PipStep, SetupError, make


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """The smallest wheel there is."""
    path = tmp_path / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.py", "VALUE = 1\n")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"tiny.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments are made below a folder of their own."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "pyproject.toml").write_bytes((environments.REPOSITORY / "pyproject.toml").read_bytes())
    monkeypatch.setattr(environments, "REPOSITORY", folder)
    return folder


@pytest.fixture
def pip_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    install = environments.install

    def counted(environment: Environment, step: PipStep) -> None:
        calls.append(step.title)
        install(environment, step)

    monkeypatch.setattr(environments, "install", counted)
    return calls


def environment(repository: Path, wheel: Path, *more: str) -> Environment:
    arguments = ("--no-index", "--no-deps", str(wheel), *more)
    return Environment("small", repository / ".small", (PipStep("Installing tiny", 5, arguments),))


def installed(made: Environment) -> bool:
    return (environments.site_packages(made) / "tiny.py").exists()


def test_a_finished_environment_is_left_alone_and_a_changed_one_updated(
    repository: Path, wheel: Path, pip_calls: list[str]
) -> None:
    made = environment(repository, wheel)
    make(made)
    assert installed(made)
    make(made)
    assert pip_calls == ["Installing tiny"]

    make(environment(repository, wheel, "--upgrade"))
    assert pip_calls == ["Installing tiny"] * 2


def test_an_installation_that_was_killed_is_made_anew(
    repository: Path, wheel: Path, pip_calls: list[str]
) -> None:
    made = environment(repository, wheel)
    half_written = environments.site_packages(made) / "half"
    half_written.mkdir(parents=True)
    (made.folder / environments.INSTALLING).touch()

    make(made)

    assert installed(made)
    assert not half_written.exists()
    assert not (made.folder / environments.INSTALLING).exists()


def test_a_failed_installation_shows_pips_words_and_goes_on_where_it_stopped(
    repository: Path, wheel: Path, tmp_path: Path, pip_calls: list[str]
) -> None:
    with pytest.raises(SetupError, match=r"(?s)no-such-package.*run the same command again"):
        make(environment(repository, wheel, "no-such-package"))

    made = environment(repository, wheel)
    mine = made.folder / "kept"
    mine.touch()
    make(made)
    assert installed(made)
    assert mine.exists()


def test_an_environment_sees_the_packages_of_another(
    repository: Path, wheel: Path, pip_calls: list[str]
) -> None:
    other = environment(repository, wheel)
    make(other)
    upper = Environment(
        "upper",
        repository / ".upper",
        (PipStep("Checking tiny", 5, ("--no-index", "tiny")),),
        sees=environments.site_packages(other),
    )
    make(upper)

    assert not installed(upper), "pip counted it as installed"


def test_an_unknown_environment_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert environments.main(["phone"]) == 2
    assert "Unknown environment phone" in capsys.readouterr().out
