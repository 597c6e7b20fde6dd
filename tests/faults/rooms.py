"""Rooms for processes: namespaces of Linux with their own disks and networks, for which no root is needed.

`unshare` and `nsenter` are part of util-linux; `ip` and `tc` come with iproute2.
"""

from __future__ import annotations

import subprocess
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path


class Room(AbstractContextManager["Room"]):
    """A mount and a network namespace with nothing in them but a loopback; with `inside` they share users.

    `enter` is what stands before a command that shall run in it.
    """

    def __init__(self, inside: Room | None = None) -> None:
        make = ["unshare", "--user", "--map-root-user", "--mount", "--net"]
        if inside is not None:
            make = [*inside.enter, "unshare", "--mount", "--net"]
        # What keeps the room open while nobody is in it; it ends with its standard input.
        self._keeper = subprocess.Popen(
            [*make, "sh", "-c", "ip link set lo up && echo ready && cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != "ready\n":
            raise AssertionError("This machine opens no namespaces; allow unprivileged user namespaces.")
        self.pid = self._keeper.pid
        self.enter = [
            "nsenter",
            "--target",
            str(self.pid),
            "--user",
            "--preserve-credentials",
            "--mount",
            "--net",
        ]

    def run(self, *command: str) -> None:
        """Run a command in here; AssertionError with its words if it fails."""
        done = subprocess.run([*self.enter, *command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"

    def disk(self, folder: Path, size: int) -> Path:
        """A disk of its own of `size` bytes at `folder`; the path under which this process sees it."""
        folder.mkdir(parents=True, exist_ok=True)
        self.run("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder))
        return Path(f"/proc/{self.pid}/root{folder}")

    def cable(self, other: Room, own: str, others: str) -> Cable:
        """Two network cards joined by a cable, with these addresses."""
        name = f"pv{self.pid}"
        self.run("ip", "link", "add", name, "type", "veth", "peer", "name", "pv0", "netns", str(other.pid))
        for room, card, address in ((self, name, own), (other, "pv0", others)):
            room.run("ip", "address", "add", f"{address}/24", "dev", card)
            room.run("ip", "link", "set", card, "up")
        return Cable(self, name)

    def __exit__(self, *_: object) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(20)


@dataclass
class Cable:
    """One end of it."""

    room: Room
    card: str

    def limit(self, rate: int) -> None:
        """Bytes per second from this end to the other."""
        self.room.run(
            *("tc", "qdisc", "add", "dev", self.card, "root", "tbf"),
            *("rate", f"{8 * rate}bit", "burst", "256kb", "latency", "100ms"),
        )

    def down(self) -> None:
        """Pull it out."""
        self.room.run("ip", "link", "set", self.card, "down")

    def up(self) -> None:
        """Put it back."""
        self.room.run("ip", "link", "set", self.card, "up")
