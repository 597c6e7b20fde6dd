"""Who may call our routes on ComfyUI's server: this server's own pages, nobody else (T1, T2).

ComfyUI has no login, so a web page that the user visits must not be able to pair a device in the background.
Knows no ComfyUI.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

HEADER = "X-PocketVideo"
HEADER_VALUE = "1"
HOSTS_VARIABLE = "POCKETVIDEO_HOSTS"
# Names that nobody can register, so that no stranger's name server answers for them.
PRIVATE_SUFFIXES = (".local", ".localhost", ".lan", ".internal", ".home.arpa", ".ts.net")


def refusal(method: str, headers: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> str | None:
    """Why a request is refused, in one sentence; None when it may pass."""
    host = headers.get("Host", "")
    if not _host_allowed(host, environ):
        return (
            f"PocketVideo does not answer for the host name {host!r:.100}: open ComfyUI by its address, "
            f"or name the host in {HOSTS_VARIABLE}."
        )
    if headers.get(HEADER) != HEADER_VALUE:
        return f"The request lacks the header {HEADER}: {HEADER_VALUE}, which ComfyUI's own page sends."
    origin = headers.get("Origin")
    if origin is None and method == "GET":
        return None
    if origin is None or origin == "null" or urlsplit(origin).netloc.lower() != host.lower():
        return "The request comes from another page than this ComfyUI: use ComfyUI's own page."
    if method != "GET" and headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        return "The request's body is not JSON: send application/json."
    return None


def _host_allowed(host: str, environ: Mapping[str, str]) -> bool:
    """Addresses, private names, and what the user listed; never a name that a stranger could own (T2)."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if not name:
        return False
    listed = {item.strip().lower() for item in environ.get(HOSTS_VARIABLE, "").split(",")}
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.endswith(PRIVATE_SUFFIXES) or name in listed
    return True
