"""The device's HTTP client for the desk's routes (docs/protocol.md): one method per route, TLS pinned.

The token goes into the `Authorization` header of this session only; it is in no address and no message (T16).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from .errors import AgentError, DeskUnreachable, certificate_trouble
from .lane import CONNECT_SECONDS, MAX_REFUSAL, SILENCE_SECONDS, Lane, refusal_of
from .shelf import MIMES

MAX_CERTIFICATE = 64 * 1024
MAX_MANIFEST = 64 * 1024 * 1024
MAX_ANSWER = 1024 * 1024
POLL_SECONDS = 25.0
KINDS = ("install", "run")
SOCKET_PROTOCOL = "pocketvideo.v1"
# The desk pings a socket that was silent for 20 s; one that says nothing for so long is gone.
GONE_SECONDS = 45.0


@dataclass(frozen=True)
class JobOffer:
    """A job as the desk hands it out."""

    job_id: str
    attempt: int
    bundle_id: str
    values: dict[str, Any]
    kind: str = "run"

    @classmethod
    def read(cls, message: dict[str, Any]) -> JobOffer:
        """A job from the desk's message; AgentError if it is none that this agent knows."""
        try:
            kind = str(message.get("kind", "run"))
            if kind not in KINDS:
                raise ValueError(kind)
            return cls(
                _hex(message["job_id"], 32),
                int(message["attempt"]),
                _hex(message["bundle_id"], 64),
                dict(message["values"]),
                kind,
            )
        except (KeyError, TypeError, ValueError):
            raise AgentError(
                "The desk sent a job that this agent does not understand; update the agent."
            ) from None


async def fetch_certificate(host: str, port: int, fingerprint: str) -> bytes:
    """The desk's authority (DER), compared with `fingerprint` unless that is empty.

    This one request cannot verify TLS, because the certificate it fetches is what all others verify with;
    nothing secret is sent, and a certificate with another fingerprint is refused.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with Desk(host, port, context, token=None) as desk:
        certificate = await desk.bytes_of("/v1/ca", MAX_CERTIFICATE)
    found = hashlib.sha256(certificate).hexdigest()
    if fingerprint and not hmac.compare_digest(found, fingerprint):
        raise AgentError(
            f"The desk at {host}:{port} is not the one of this pairing address: its fingerprint is"
            f" {found[:16]}..., not {fingerprint[:16]}...; make a new offer at the desk, and if it happens"
            " again, someone stands between."
        )
    return certificate


def pinned_context(certificate: bytes) -> ssl.SSLContext:
    """A TLS 1.3 client context that trusts the given authority (DER) and no other, and checks the host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=certificate)
    except ssl.SSLError as error:
        raise AgentError("The desk's certificate cannot be read; make a new offer at the desk.") from error
    return context


class Desk:
    """One desk, as an async context manager; methods raise DeskUnreachable, DeskRefused or AgentError."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, token: str | None) -> None:
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._base = f"https://{self._address}"
        self._host, self._port, self._token = host, port, token
        self._context = context
        self._headers = {"Origin": self._base}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Desk:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._context, limit=8),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
            ),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # -- routes -------------------------------------------------------------------------------------------

    async def introduce(self, body: dict[str, str]) -> dict[str, Any]:
        """POST /v1/pairings."""
        return await self._json("POST", "/v1/pairings", body)

    async def reveal(self, pairing_id: str, nonce: bytes) -> None:
        """POST /v1/pairings/{pairing_id}/reveal."""
        await self._json("POST", f"/v1/pairings/{pairing_id}/reveal", {"nonce": nonce.hex()})

    async def pairing_state(self, pairing_id: str) -> dict[str, Any]:
        """GET /v1/pairings/{pairing_id}, waiting for the user's decision."""
        return await self._json("GET", f"/v1/pairings/{pairing_id}?wait={POLL_SECONDS:.0f}")

    async def own_entry(self) -> dict[str, Any]:
        """GET /v1/device."""
        return await self._json("GET", "/v1/device")

    async def unpair(self) -> None:
        """DELETE /v1/device."""
        await self._json("DELETE", "/v1/device")

    async def next_job(self) -> JobOffer | None:
        """GET /v1/jobs/next, waiting for work."""
        answer = await self._json("GET", f"/v1/jobs/next?wait={POLL_SECONDS:.0f}")
        return JobOffer.read(answer) if answer else None

    async def open_socket(self) -> aiohttp.ClientWebSocketResponse:
        """GET /v1/socket as a WebSocket. DeskRefused if the desk or something between does not open one."""
        async with self._errors():
            try:
                return await self._live().ws_connect(
                    f"{self._base}/v1/socket",
                    protocols=(SOCKET_PROTOCOL,),
                    timeout=aiohttp.ClientWSTimeout(ws_receive=GONE_SECONDS, ws_close=2.0),
                    max_msg_size=MAX_ANSWER,
                    autoping=True,
                )
            except aiohttp.WSServerHandshakeError as error:
                raise refusal_of(error.status, b"") from error

    async def put_status(self, status: dict[str, Any]) -> None:
        """PUT /v1/device/status."""
        await self._json("PUT", "/v1/device/status", status)

    async def announce_result(self, announcement: dict[str, Any]) -> tuple[str, int]:
        """POST /v1/results: the state `open` or `stored`, and how many bytes the desk has."""
        answer = await self._json("POST", "/v1/results", announcement)
        try:
            return str(answer["state"]), int(answer["received"])
        except (KeyError, TypeError, ValueError):
            raise AgentError(
                "The desk's answer is not what this agent understands; update the agent."
            ) from None

    async def send_result(self, result_id: str, mime: str, path: Path, size: int, offset: int) -> None:
        """PUT /v1/results/{result_id}: a file of `size` bytes from `offset` on."""
        headers = {"Content-Type": mime, "Content-Length": str(size - offset)}
        if offset:
            headers["Content-Range"] = f"bytes {offset}-{size - 1}/{size}"
        data = _read(path, offset)
        async with self._answer("PUT", f"/v1/results/{result_id}", headers=headers, data=data):
            pass

    async def manifest(self, bundle_id: str) -> bytes:
        """GET /v1/bundles/{bundle_id}/manifest; its hash is compared with the id (T12)."""
        data = await self.bytes_of(f"/v1/bundles/{bundle_id}/manifest", MAX_MANIFEST)
        if hashlib.sha256(data).hexdigest() != bundle_id:
            raise AgentError(
                "manifest.json is damaged: its SHA-256 is not the bundle's id; send the job again."
            )
        return data

    def lane(self) -> Lane:
        """A connection of its own for GET /v1/blobs/{sha256}."""
        return Lane(self._host, self._port, self._context, self._token)

    async def event(self, job_id: str, stage: str, fraction: float | None, message: str) -> str:
        """POST /v1/jobs/{job_id}/events; the job's state at the desk."""
        body = {"stage": stage, "fraction": fraction, "message": message[:500]}
        answer = await self._json("POST", f"/v1/jobs/{job_id}/events", body)
        return str(answer.get("state", "active"))

    async def send_frames(self, job_id: str, shape: tuple[int, int, int], data: memoryview) -> None:
        """PUT /v1/jobs/{job_id}/result/frames: RGB24 of `shape` (T, H, W)."""
        path = f"/v1/jobs/{job_id}/result/frames?frames={shape[0]}&height={shape[1]}&width={shape[2]}"
        # One plain body with its length: the desk refuses a chunked one.
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(data.nbytes)}
        async with self._answer("PUT", path, headers=headers, data=_chunks(data)):
            pass

    async def send_video(self, job_id: str, path: Path) -> None:
        """PUT /v1/jobs/{job_id}/result/video: MP4 or WebP, as the file's ending says."""
        data = await asyncio.to_thread(path.read_bytes)
        headers = {"Content-Type": MIMES[path.suffix], "Content-Length": str(len(data))}
        async with self._answer(
            "PUT", f"/v1/jobs/{job_id}/result/video", headers=headers, data=_chunks(memoryview(data))
        ):
            pass

    async def done(self, job_id: str, report: dict[str, Any]) -> None:
        """POST /v1/jobs/{job_id}/done."""
        await self._json("POST", f"/v1/jobs/{job_id}/done", {"report": report})

    async def failed(self, job_id: str, message: str) -> None:
        """POST /v1/jobs/{job_id}/failed."""
        await self._json("POST", f"/v1/jobs/{job_id}/failed", {"message": message[:500]})

    # -- plumbing -----------------------------------------------------------------------------------------

    async def bytes_of(self, path: str, limit: int) -> bytes:
        """A whole answer of at most `limit` bytes."""
        async with self._answer("GET", path) as answer:
            return await _bounded(answer, limit)

    async def _json(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body, allow_nan=False).encode("utf-8")
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with self._answer(method, path, headers=headers, data=data) as answer:
            if answer.status == 204:
                return {}
            text = await _bounded(answer, MAX_ANSWER)
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise AgentError(f"The desk at {self._address} answered no JSON object; update the agent.")
        return document

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, data: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with (
            self._errors(),
            self._live().request(
                method, self._base + path, headers=headers, data=data, allow_redirects=False
            ) as answer,
        ):
            if answer.status not in (200, 201, 204, 206):
                raise refusal_of(answer.status, await answer.content.read(MAX_REFUSAL))
            yield answer

    def _live(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("Desk is used outside its `async with`")
        return self._session

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            yield
        except aiohttp.ClientConnectorCertificateError as error:
            refused = error.certificate_error
            assert isinstance(refused, ssl.SSLCertVerificationError)
            raise certificate_trouble(self._address, refused) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise DeskUnreachable(f"The desk at {self._address} does not answer ({reason}).") from error


async def _chunks(data: memoryview) -> AsyncIterator[bytes]:
    flat = data.cast("B") if data.nbytes else data
    for start in range(0, data.nbytes, 256 * 1024):
        yield bytes(flat[start : start + 256 * 1024])


async def _read(path: Path, offset: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := await asyncio.to_thread(file.read, 256 * 1024):
            yield chunk


async def _bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise AgentError(f"The desk's answer is longer than {limit} bytes; update the agent.")
    return bytes(body)


def _hex(text: Any, length: int) -> str:
    if not (isinstance(text, str) and len(text) == length and set(text) <= set("0123456789abcdef")):
        raise ValueError("not an id")
    return text
