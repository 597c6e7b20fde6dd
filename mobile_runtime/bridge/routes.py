"""The one table of the bridge's routes (docs/protocol.md section 2), each public or paired.

Nothing else registers a handler; tests hold this table, the document and the running server to each other.
"""

from __future__ import annotations

from aiohttp import web

from . import api_blobs, api_jobs, api_pages, api_pairing, api_results, api_socket
from .core import BridgeCore
from .guards import CORE, DOCUMENT, KIB, Access, Route, add_headers, guarded, shield
from .openapi import document

JSON = "application/json"
BYTES = "application/octet-stream"
MP4, WEBP = "video/mp4", "image/webp"
MIB = KIB * KIB
WAIT, SHAPE = ("wait",), ("frames", "height", "width")
PUBLIC, PAIRED = Access.PUBLIC, Access.PAIRED

# Regular expressions of the path's variables: hex of an exact length, so nothing else reaches a handler (T7).
PATTERNS = {
    "pairing_id": "[0-9a-f]{32}",
    "job_id": "[0-9a-f]{32}",
    "bundle_id": "[0-9a-f]{64}",
    "sha256": "[0-9a-f]{64}",
    "result_id": "[0-9a-f]{32}",
    # Looked up in the app's index and nowhere else; a version prefix belongs to the protocol.
    "file": "(?!v[0-9]+/)[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,7}",
}

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/about", PUBLIC, api_pairing.about),
    Route("GET", "/v1/ca", PUBLIC, api_pairing.certificate),
    Route("POST", "/v1/pairings", PUBLIC, api_pairing.introduce, JSON, 4 * KIB),
    Route("POST", "/v1/pairings/{pairing_id}/reveal", PUBLIC, api_pairing.reveal, JSON, 4 * KIB),
    Route("GET", "/v1/pairings/{pairing_id}", PUBLIC, api_pairing.pairing_state, query=WAIT),
    Route("GET", "/v1/device", PAIRED, api_pairing.own_entry),
    Route("DELETE", "/v1/device", PAIRED, api_pairing.unpair),
    Route("PUT", "/v1/device/status", PAIRED, api_results.put_status, JSON, 64 * KIB),
    Route("GET", "/v1/socket", PAIRED, api_socket.socket, socket=True),
    Route("GET", "/v1/jobs/next", PAIRED, api_jobs.next_job, query=WAIT),
    Route("GET", "/v1/bundles/{bundle_id}/manifest", PAIRED, api_blobs.manifest),
    Route("GET", "/v1/blobs/{sha256}", PAIRED, api_blobs.blob),
    Route("POST", "/v1/jobs/{job_id}/events", PAIRED, api_jobs.report_event, JSON, 8 * KIB),
    Route(
        "PUT",
        "/v1/jobs/{job_id}/result/frames",
        PAIRED,
        api_jobs.receive_frames,
        BYTES,
        512 * MIB,
        query=SHAPE,
    ),
    Route("PUT", "/v1/jobs/{job_id}/result/video", PAIRED, api_jobs.receive_video, MP4, 256 * MIB, (WEBP,)),
    Route("POST", "/v1/jobs/{job_id}/done", PAIRED, api_jobs.finish_job, JSON, 64 * KIB),
    Route("POST", "/v1/jobs/{job_id}/failed", PAIRED, api_jobs.fail_job, JSON, 8 * KIB),
    Route("POST", "/v1/results", PAIRED, api_results.announce, JSON, 64 * KIB),
    Route("PUT", "/v1/results/{result_id}", PAIRED, api_results.receive, MP4, 256 * MIB, (WEBP,)),
    Route("GET", "/v1/openapi.json", PUBLIC, api_pages.openapi),
    Route("GET", "/", PUBLIC, api_pages.home),
    Route("GET", "/trust", PUBLIC, api_pages.trust),
    Route("GET", "/trust.css", PUBLIC, api_pages.style),
    Route("GET", "/ca.crt", PUBLIC, api_pages.certificate),
    Route("GET", "/ca.mobileconfig", PUBLIC, api_pages.profile),
    Route("GET", "/{file}", PUBLIC, api_pages.app_file),
)


def make_app(core: BridgeCore) -> web.Application:
    """The bridge's application: the table's routes behind the shield."""
    app = web.Application(middlewares=[shield])
    app[CORE] = core
    app[DOCUMENT] = document(ROUTES, PATTERNS)
    app.on_response_prepare.append(add_headers)
    for route in ROUTES:
        path = route.path
        for name, pattern in PATTERNS.items():
            path = path.replace(f"{{{name}}}", f"{{{name}:{pattern}}}")
        # add_get would also answer HEAD, which the protocol does not have.
        app.router.add_route(route.method, path, guarded(route))
    return app
