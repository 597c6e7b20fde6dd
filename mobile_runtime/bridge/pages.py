"""What a browser gets: the phone's app, the trust page and the authority's downloads (docs/protocol.md 13).

The app's files come from an index that is made once; a request's path is only looked up in it (T7). Every
page has a policy of its own origin and no inline script (T14).
"""

from __future__ import annotations

import hashlib
import html
import plistlib
import re
import stat
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .authority import Authority
from .errors import BridgeError

PHONE_APP = Path(__file__).parents[1] / "phone" / "dist"
TEMPLATES = Path(__file__).parent / "site"
MAX_FILES = 2000
SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\Z")
# Vite puts files here whose names carry their content's hash.
HASHED = "assets/"

# What browsers insist on (modules, WASM streaming, the manifest); anything else is bytes.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".mp4": "video/mp4",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}

# Half a megabyte of text in all, which packs to a third; the runtime is fetched once, in the background.
PACKED = frozenset({".html", ".js", ".mjs", ".css", ".json", ".webmanifest", ".svg", ".txt"})
MAX_PACKED = 4_000_000

TRUST_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class AppFile:
    """One file of the app, as it was at start; `packed` is its text as gzip, None where that saves little."""

    path: Path
    content_type: str
    cache: str
    packed: bytes | None


@dataclass(frozen=True)
class Download:
    """One fixed answer with its file name, for the authority."""

    body: bytes
    content_type: str
    name: str


class Pages:
    """Everything public that is not a route of the protocol; built once per start.

    `address` is the bridge's own `host:port`, `app` the folder of the built app, which need not exist.
    """

    def __init__(self, authority: Authority, desk_name: str, address: str, app: Path) -> None:
        self.app = dict(_index(app))
        short = authority.fingerprint[:8]
        self.trust = _trust_page(authority, desk_name, address, bool(self.app)).encode("utf-8")
        self.style = (TEMPLATES / "trust.css").read_bytes()
        self.certificate = Download(
            authority.certificate, "application/x-x509-ca-cert", f"pocketvideo-{short}.crt"
        )
        self.profile = Download(
            _profile(authority, desk_name),
            "application/x-apple-aspen-config",
            f"pocketvideo-{short}.mobileconfig",
        )


def app_headers(host: str) -> dict[str, str]:
    """The headers of every answer of the app at `host`, which is on the allow-list."""
    policy = {
        "default-src": "'self'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "worker-src": "'self' blob:",
        "img-src": "'self' blob: data:",
        "media-src": "'self' blob:",
        # Some browsers do not take 'self' for the same host's WebSockets.
        "connect-src": f"'self' wss://{host}",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def _index(folder: Path) -> Iterator[tuple[str, AppFile]]:
    """Plain files below `folder` by their address; links, odd names and hidden files are left out."""
    if not (folder / "index.html").is_file():
        return
    count = 0
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        for path in sorted(place.iterdir()):
            mode = path.lstat().st_mode
            if not SEGMENT.match(path.name):
                continue
            if stat.S_ISDIR(mode):
                waiting.append((path, f"{prefix}{path.name}/"))
            elif stat.S_ISREG(mode):
                count += 1
                if count > MAX_FILES:
                    raise BridgeError(
                        f"{folder} holds more than {MAX_FILES} files; build the phone's app anew."
                    )
                name = prefix + path.name
                cache = "public, max-age=31536000, immutable" if name.startswith(HASHED) else "no-cache"
                kind = TYPES.get(path.suffix.lower(), "application/octet-stream")
                yield name, AppFile(path, kind, cache, _packed(path))


def _packed(path: Path) -> bytes | None:
    if path.suffix.lower() not in PACKED or path.stat().st_size > MAX_PACKED:
        return None
    # 31 is zlib's word for gzip's format; only writing it, as nothing here may open an archive (T8).
    return zlib.compress(path.read_bytes(), wbits=31)


def _trust_page(authority: Authority, desk_name: str, address: str, has_app: bool) -> str:
    text = (TEMPLATES / "trust.html").read_text(encoding="utf-8")
    port = address.rpartition(":")[2]
    digits = authority.fingerprint.upper()
    pairs = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    rows = [":".join(pairs[at : at + 8]) for at in range(0, len(pairs), 8)]
    for name, value in {
        "desk": desk_name,
        "address": address,
        "port": port,
        "short": authority.fingerprint[:8],
    }.items():
        text = text.replace(f"{{{{{name}}}}}", html.escape(value))
    go = '<a class="button quiet" href="/">Continue without installing</a>'
    if not has_app:
        go = "The phone's app is not part of this installation; the Python agent needs nothing from here."
    text = text.replace("{{go}}", go)
    return text.replace("{{fingerprint}}", "<br>".join(html.escape(row) for row in rows))


def _profile(authority: Authority, desk_name: str) -> bytes:
    """An Apple configuration profile with the one certificate; the same bytes for the same authority."""
    short = authority.fingerprint[:8]
    name = f"PocketVideo desk {short}"

    def identifier(part: str) -> str:
        digest = hashlib.sha256(f"pocketvideo {part} {authority.fingerprint}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4)).upper()

    certificate = {
        "PayloadType": "com.apple.security.root",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"pocketvideo.desk.{short}.authority",
        "PayloadUUID": identifier("authority"),
        "PayloadDisplayName": name,
        "PayloadDescription": "The certificate authority that this computer made for itself.",
        "PayloadCertificateFileName": f"pocketvideo-{short}.crt",
        "PayloadContent": authority.certificate,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"pocketvideo.desk.{short}",
        "PayloadUUID": identifier("profile"),
        "PayloadDisplayName": name,
        "PayloadDescription": f"Lets this device check that it talks to {desk_name}. Remove it at any time.",
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [certificate],
    }
    return plistlib.dumps(profile)
