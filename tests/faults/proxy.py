"""A network that a test holds in its hand: slow, cut, or lying. Plain TCP between a device and its desk.

It listens on 127.0.0.2 with the desk's own port, because the desk answers only for names with its port.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

ADDRESS = "127.0.0.2"
CHUNK = 16 * 1024


class Proxy:
    """Forwards connections to `target`; `rate` in bytes per second holds for what the desk sends."""

    def __init__(self, target: tuple[str, int], rate: float | None = None) -> None:
        self.rate = rate
        self.forwarded = 0
        """Bytes that the desk sent and that may pass on to the device; TLS and answers included."""
        self.handed = 0
        """Of these, the bytes that the kernel has taken."""
        self.flip_at: int | None = None
        """Change one bit when so many bytes were forwarded; then None again."""
        self.stop_at: int | None = None
        """Hand nothing more on to the device once this would be more bytes; `go_on` ends that."""
        self._target = target
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._open = threading.Event()
        self._open.set()
        self._sockets: set[socket.socket] = set()
        self._closed = False
        self._listener = socket.create_server((ADDRESS, target[1]))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def stopped(self) -> bool:
        """Whether it has come to `stop_at`."""
        return not self._open.is_set()

    def go_on(self) -> None:
        with self._lock:
            self.stop_at = None
            self._open.set()

    def unread(self) -> int:
        """Of what was forwarded, the bytes that the kernel holds and the device's process never saw."""
        own = f"{socket.inet_aton(ADDRESS)[::-1].hex().upper()}:{self._target[1]:04X}"
        count = 0
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            sending, received = (int(text, 16) for text in queues.split(":"))
            count += sending * (local == own) + received * (remote == own)
        return count

    def close(self) -> None:
        """Close everything; the other sides see a connection that ended."""
        self._closed = True
        self.go_on()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        for item in list(self._sockets):
            with suppress(OSError):
                item.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            desk = socket.socket()
            # A small window: what the desk calls sent is then nearly what came through.
            desk.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            try:
                desk.connect(self._target)
            except OSError:
                device.close()
                desk.close()
                continue
            self._sockets |= {device, desk}
            for source, sink, down in ((device, desk, False), (desk, device, True)):
                threading.Thread(target=self._pump, args=(source, sink, down), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, down: bool) -> None:
        try:
            while data := source.recv(CHUNK):
                if down:
                    data = self._downwards(data)
                sink.sendall(data)
                if down:
                    with self._lock:
                        self.handed += len(data)
        except OSError:
            pass
        finally:
            self._sockets -= {source, sink}
            for item in (source, sink):
                with suppress(OSError):
                    item.shutdown(socket.SHUT_RDWR)
            source.close()

    def _downwards(self, data: bytes) -> bytes:
        while True:
            self._open.wait()
            with self._lock:
                if self.stop_at is None or self.forwarded + len(data) <= self.stop_at:
                    wait, data = self._pass(data)
                    break
                self._open.clear()
        if wait > 0:
            time.sleep(wait)
        return data

    def _pass(self, data: bytes) -> tuple[float, bytes]:
        """How long these bytes have to wait for their turn, and what becomes of them."""
        wait = 0.0
        if self.rate is not None:
            now = time.monotonic()
            self._free_at = max(self._free_at, now - 0.05) + len(data) / self.rate
            wait = self._free_at - now
        if self.flip_at is not None and self.forwarded + len(data) > self.flip_at:
            middle = len(data) // 2
            data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
            self.flip_at = None
        self.forwarded += len(data)
        return wait, data
