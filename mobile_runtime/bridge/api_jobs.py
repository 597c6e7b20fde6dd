"""Handlers of docs/protocol.md sections 6, 8 and 9: work, progress and results."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from aiohttp import web

from .api_pairing import wait_seconds
from .core import BridgeCore
from .errors import ApiError
from .guards import CORE, Fields, device_of, read_body, read_json
from .jobs import Job, JobEvent
from .media import check_video, frame_shape
from .plain import plain_line

STAGES = ("download", "verify", "self_test", "run", "upload")
MAX_MESSAGE = 500
EVENT_FIELDS: Fields = {"stage": str, "fraction": (int, float, type(None)), "message": str}


async def next_job(request: web.Request) -> web.Response:
    """GET /v1/jobs/next."""
    core, device = request.app[CORE], device_of(request)
    job = await core.board.next(device.device_id, wait_seconds(request))
    core.still_paired(device)
    if core.stopping:
        raise ApiError(503, "stopping", "The desk's bridge is shutting down; reconnect later.")
    if job is None:
        return web.Response(status=204)
    return web.json_response(job)


async def report_event(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}/events."""
    body = await read_json(request, EVENT_FIELDS)
    device_id, job_id = device_of(request).device_id, request.match_info["job_id"]
    return web.json_response({"state": take_event(request.app[CORE], device_id, job_id, body)})


def take_event(core: BridgeCore, device_id: str, job_id: str, body: dict[str, Any]) -> str:
    """Pass an event with the fields of EVENT_FIELDS on; `active` or `cancelled`, ApiError 400, 404 or 410."""
    if body["stage"] not in STAGES:
        raise ApiError(400, "bad_request", f"A stage is one of {', '.join(STAGES)}.")
    fraction = None if body["fraction"] is None else float(body["fraction"])
    if fraction is not None and not (math.isfinite(fraction) and 0.0 <= fraction <= 1.0):
        raise ApiError(400, "bad_request", "A fraction lies between 0 and 1.")
    job = core.board.find(device_id, job_id)
    if job.state == "cancelled":
        return "cancelled"
    job = core.board.active(job.device_id, job.job_id)
    job.events.put(JobEvent(body["stage"], fraction, plain_line(body["message"], MAX_MESSAGE)))
    return "active"


async def receive_frames(request: web.Request) -> web.Response:
    """PUT /v1/jobs/{job_id}/result/frames."""
    job, attempt = _open_slot(request, "frames")
    query = request.query
    shape = frame_shape(
        query.get("frames", ""), query.get("height", ""), query.get("width", ""), request.content_length or 0
    )
    body = await read_body(request)
    _still_open(job, attempt, "frames")
    job.frames = np.frombuffer(body, dtype=np.uint8).reshape(*shape, 3)
    return web.Response(status=204)


async def receive_video(request: web.Request) -> web.Response:
    """PUT /v1/jobs/{job_id}/result/video."""
    job, attempt = _open_slot(request, "video")
    body = await read_body(request)
    check_video(body, request.content_type)
    _still_open(job, attempt, "video")
    job.video, job.mime = bytes(body), request.content_type
    return web.Response(status=204)


async def finish_job(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}/done."""
    core, job = _active(request)
    body = await read_json(request, {"report": dict})
    core.board.finish(core.board.active(job.device_id, job.job_id), body["report"])
    return web.Response(status=204)


async def fail_job(request: web.Request) -> web.Response:
    """POST /v1/jobs/{job_id}/failed."""
    core, job = _active(request)
    body = await read_json(request, {"message": str})
    core.board.fail(core.board.active(job.device_id, job.job_id), plain_line(body["message"], MAX_MESSAGE))
    return web.Response(status=204)


def _active(request: web.Request) -> tuple[Any, Job]:
    core = request.app[CORE]
    return core, core.board.active(device_of(request).device_id, request.match_info["job_id"])


def _open_slot(request: web.Request, part: str) -> tuple[Job, int]:
    _, job = _active(request)
    _still_open(job, job.attempt, part)
    return job, job.attempt


def _still_open(job: Job, attempt: int, part: str) -> None:
    if job.kind == "install":
        raise ApiError(400, "bad_request", f"An install job sends no {part} home.")
    # Checked before the body is read and again after: the job may end or be handed out anew meanwhile.
    if job.state != "active" or job.attempt != attempt:
        raise ApiError(410, "job_over", "This job is finished, failed, cancelled or was handed out again.")
    if getattr(job, part) is not None:
        raise ApiError(409, "already_received", f"This job's {part} came already.")
