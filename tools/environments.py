"""Makes the environments that development needs: `python tools/environments.py [dev] [host] [device]`.

* dev: `.venv`, the pack (editable), its extras and the tools of lint and test;
* host: `.comfyui`, the real ComfyUI and what it needs on top of `.venv`, whose packages it sees;
* device: `.device/venv`, the reference device's packages and no torch.

Only the standard library is used. A finished environment carries a stamp of what it was made from, so a
second run returns at once; one whose installation was killed half-way is made anew. pip works as it is
configured on this machine: where only CUDA builds of torch are offered, configure a CPU index first.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import comfyui_source
from progress import Stage

REPOSITORY = Path(__file__).resolve().parents[1]
CONSTRAINTS = REPOSITORY / "tools" / "constraints.txt"
HOST_REQUIREMENTS = REPOSITORY / "tests" / "host" / "requirements.txt"
STAMP = "pocketvideo-stamp.json"
INSTALLING = "pocketvideo-installing"
# Lint and test settings live in the same file and change nothing that is installed.
PYPROJECT_TABLES = ("build-system", "project")


class SetupError(RuntimeError):
    """An environment could not be made; the message says what to do."""


@dataclass(frozen=True)
class PipStep:
    """One call of `pip install`, its name for the progress line and its usual duration on two cores."""

    title: str
    usual_seconds: float
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """A virtual environment, the pip calls that fill it, and a folder whose packages it also sees."""

    name: str
    folder: Path
    steps: tuple[PipStep, ...]
    sees: Path | None = None

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main(names: Sequence[str]) -> int:
    unknown = set(names) - {"dev", "host", "device"}
    if unknown:
        print(f"Unknown environment {', '.join(sorted(unknown))}: choose from dev, host and device.")
        return 2
    wanted = set(names) or {"dev", "host", "device"}
    try:
        with one_at_a_time():
            if wanted & {"dev", "host"}:
                make(development())
            if "host" in wanted:
                make(host())
                if "COMFYUI_PATH" not in os.environ:
                    comfyui_source.fetch(host().python, REPOSITORY / ".comfyui")
            if "device" in wanted:
                make(device())
    except (SetupError, comfyui_source.SourceError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def development() -> Environment:
    return Environment(
        "dev",
        REPOSITORY / ".venv",
        (
            # First and alone, so that nothing else decides which build of torch comes.
            PipStep("Installing torch", 40, ("torch",)),
            PipStep("Installing the pack, its extras and tools", 90, ("--editable", f"{REPOSITORY}[dev]")),
        ),
    )


def host() -> Environment:
    return Environment(
        "host",
        REPOSITORY / ".comfyui" / "venv",
        (
            # setuptools and wheel read the metadata of the distribution that ComfyUI comes in.
            PipStep(
                "Installing what ComfyUI needs", 30, ("setuptools", "wheel", "-r", str(HOST_REQUIREMENTS))
            ),
        ),
        sees=site_packages(development()),
    )


def device() -> Environment:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]["device"]
    # tokenizers asks for the hub's client, which no device needs.
    tokenizers = [name for name in extra if name.startswith("tokenizers")]
    others = [name for name in extra if name not in tokenizers]
    return Environment(
        "device",
        REPOSITORY / ".device" / "venv",
        (
            PipStep("Installing the device's packages", 20, tuple(others)),
            PipStep("Installing the tokenizer", 5, ("--no-deps", *tokenizers)),
            PipStep("Installing the pack without torch", 10, ("--no-deps", "--editable", str(REPOSITORY))),
        ),
    )


def make(environment: Environment) -> None:
    """Create or update an environment; does nothing when its stamp is that of today's inputs."""
    folder = environment.folder
    stamp = fingerprint(environment)
    if read_stamp(environment) == stamp:
        return
    marker = folder / INSTALLING
    if marker.exists():
        shutil.rmtree(folder)
    if not environment.python.exists():
        with Stage(f"{environment.name}: creating {folder.relative_to(REPOSITORY)}", 6):
            shutil.rmtree(folder, ignore_errors=True)
            run_quietly([sys.executable, "-m", "venv", str(folder)])
    marker.touch()
    if environment.sees is not None:
        # A path line: the other environment's packages are importable and pip counts them as installed, but
        # its own .pth files are not read. So the pack is not importable here except as a custom node.
        (site_packages(environment) / "pocketvideo-development.pth").write_text(
            f"{environment.sees}\n", encoding="utf-8"
        )
    for step in environment.steps:
        install(environment, step)
    (folder / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    marker.unlink()


def install(environment: Environment, step: PipStep) -> None:
    command = [
        str(environment.python),
        *("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("-c", str(CONSTRAINTS), *step.arguments),
    ]
    recent: list[str] = []
    with Stage(f"{environment.name}: {step.title}", step.usual_seconds) as stage:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            recent = [*recent[-14:], line.rstrip()]
            word, _, rest = line.strip().partition(" ")
            if word in ("Collecting", "Downloading", "Building", "Installing", "Processing"):
                stage.note(f"{word.lower()} {Path(rest.split(' (')[0]).name[:40]}")
        if process.wait() == 0:
            return
    # pip itself ended, so nothing is half-written and the next run can go on from here.
    (environment.folder / INSTALLING).unlink(missing_ok=True)
    told = "\n".join(recent)
    raise SetupError(
        f"{told}\n\n{step.title} for {environment.name} failed (pip ended with {process.returncode}): "
        "check the network and pip's settings, then run the same command again; it goes on where it stopped."
    )


def run_quietly(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"{done.stdout}{done.stderr}\n`{' '.join(command)}` failed: see the lines above.")


def fingerprint(environment: Environment) -> dict[str, object]:
    """What an environment is made from: interpreter, pip calls, constraints, requirements, metadata."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    metadata = {table: project[table] for table in PYPROJECT_TABLES}
    metadata["setuptools"] = project["tool"]["setuptools"]
    inputs = [CONSTRAINTS.read_text(encoding="utf-8"), json.dumps(metadata, sort_keys=True)]
    if environment.sees is not None:
        inputs.append(HOST_REQUIREMENTS.read_text(encoding="utf-8"))
    return {
        "python": sys.version,
        "steps": [list(step.arguments) for step in environment.steps],
        "sees": str(environment.sees),
        "inputs": hashlib.sha256("\0".join(inputs).encode()).hexdigest(),
    }


def read_stamp(environment: Environment) -> object:
    if not environment.python.exists():
        return None
    try:
        return json.loads((environment.folder / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def site_packages(environment: Environment) -> Path:
    if os.name == "nt":
        return environment.folder / "Lib" / "site-packages"
    return environment.folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock, so that two commands started together do not install into one folder at once."""
    cache = REPOSITORY / ".cache"
    cache.mkdir(exist_ok=True)
    with (cache / "setup.lock").open("w") as lock:
        try:
            import fcntl
        except ImportError:  # Windows: developers there run one command at a time.
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is preparing the environments; waiting for it.", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
