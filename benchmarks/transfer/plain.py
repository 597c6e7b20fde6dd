"""What a push is compared with: one process sends files with sendfile, another receives them into files.

`python plain.py send STATE FILE...` prints its port; `python plain.py receive PORT SIZE... --into FOLDER` the
seconds it took. With --tls the sender reads and encrypts in one thread, which is what Python can do at best.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import socket
import ssl
import sys
import time
from pathlib import Path

BUFFER = 256 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("send", "receive"))
    parser.add_argument("where")
    parser.add_argument("what", nargs="+")
    parser.add_argument("--into", type=Path)
    parser.add_argument("--hash", action="store_true")
    parser.add_argument("--sync", action="store_true")
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    if options.role == "send":
        send(Path(options.where), [Path(name) for name in options.what], options.tls)
    else:
        sizes = [int(size) for size in options.what]
        sys.stdout.write(f"{receive(options, sizes)}\n")


def send(state: Path, files: list[Path], tls: bool) -> None:
    """Send the files, one after the other, to the first who connects."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    connection, _ = listener.accept()
    if tls:
        from comfyui_pocketvideo.mobile_runtime.bridge.authority import load_authority, server_context

        load_authority(state)
        connection = server_context(state, ()).wrap_socket(connection, server_side=True)
    with connection:
        for path in files:
            with path.open("rb", buffering=0) as file:
                if not tls:
                    connection.sendfile(file)
                    continue
                # SSLSocket.sendfile sends 8 KiB at a time.
                buffer = memoryview(bytearray(BUFFER))
                while count := file.readinto(buffer):
                    connection.sendall(buffer[:count])


def receive(options: argparse.Namespace, sizes: list[int]) -> float:
    """Seconds from the first connection to the last byte in its file (and on the disk, with --sync)."""
    started = time.perf_counter()
    connection = socket.create_connection(("127.0.0.1", int(options.where)))
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # The bytes are random and the sender is our own: what is measured is encryption.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = context.wrap_socket(connection)
    buffer = memoryview(bytearray(BUFFER))
    for number, size in enumerate(sizes):
        hasher = hashlib.sha256()
        with (options.into / f"{number}.bin").open("wb", buffering=0) as file:
            left = size
            while left > 0:
                count = connection.recv_into(buffer[: min(left, BUFFER)])
                if count == 0:
                    raise SystemExit("The sender hung up.")
                if options.hash:
                    hasher.update(buffer[:count])
                file.write(buffer[:count])
                left -= count
            if options.sync:
                os.fsync(file.fileno())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
