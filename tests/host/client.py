"""Talks to a running ComfyUI as its own frontend does: HTTP for requests, a websocket for events."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .events import Event, EventStream

JSON = dict[str, Any]
FINAL_EVENTS = ("execution_success", "execution_error", "execution_interrupted")


class RequestFailed(RuntimeError):
    """The host answered with an error status; `status` and `body` (parsed where it is JSON) say which."""

    def __init__(self, method: str, path: str, status: int, body: Any) -> None:
        super().__init__(f"{method} {path} answered {status}: {json.dumps(body)[:2000]}")
        self.status = status
        self.body = body


class PromptRejected(RequestFailed):
    """The host refused a prompt before running it; `node_errors` is keyed by node id."""

    @property
    def node_errors(self) -> JSON:
        return dict(self.body.get("node_errors", {})) if isinstance(self.body, dict) else {}

    def __str__(self) -> str:
        found = [
            f"node {node_id} ({node['class_type']}): {error['message']}: {error['details']}"
            for node_id, node in self.node_errors.items()
            for error in node["errors"]
        ]
        return f"ComfyUI refused the workflow. {'; '.join(found)}" if found else super().__str__()


class PromptTimeout(TimeoutError):
    """A prompt did not finish within the time given."""


@dataclass(frozen=True)
class SavedFile:
    """A file that a node reported; `type` is output, temp or input."""

    filename: str
    subfolder: str
    type: str


@dataclass
class RunResult:
    """What came of one prompt. `status` is one of FINAL_EVENTS without the prefix."""

    prompt_id: str
    status: str
    outputs: dict[str, JSON]
    events: list[Event]
    seconds: float
    error: JSON | None = None
    files: list[SavedFile] = field(default_factory=list)

    def node_files(self, node_id: str) -> list[SavedFile]:
        return list(_files_in(self.outputs.get(node_id, {})))

    def of_type(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    def require_success(self) -> RunResult:
        """Return self, or raise with the host's own account of what failed."""
        if self.status != "success":
            raise AssertionError(
                f"prompt ended with {self.status}: {json.dumps(self.error, default=str)[:4000]}"
            )
        return self


class ComfyClient:
    """A client of one host. Its id decides which events the host sends to it."""

    def __init__(self, url: str, *, timeout: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self.client_id = uuid.uuid4().hex
        self._timeout = timeout

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Send one request and return the body; `body` is sent as JSON unless it is bytes."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {} if data is None or isinstance(body, bytes) else {"Content-Type": "application/json"}
        sent.update(headers or {})
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=timeout or self._timeout) as response:
                return bytes(response.read())
        except urllib.error.HTTPError as error:
            raw = error.read()
            try:
                parsed: Any = json.loads(raw)
            except ValueError:
                parsed = raw.decode(errors="replace")
            kind = PromptRejected if path == "/prompt" and error.code == 400 else RequestFailed
            raise kind(method, path, error.code, parsed) from None

    def get_json(self, path: str, **keywords: Any) -> Any:
        return json.loads(self.request("GET", path, **keywords))

    def post_json(self, path: str, body: Any, **keywords: Any) -> Any:
        """POST JSON; returns the parsed answer, or None where the host answers with an empty body."""
        answer = self.request("POST", path, body, **keywords)
        return json.loads(answer) if answer.strip() else None

    def object_info(self, node_id: str | None = None) -> JSON:
        info: JSON = self.get_json("/object_info" + (f"/{urllib.parse.quote(node_id)}" if node_id else ""))
        return info

    def history(self, prompt_id: str) -> JSON:
        """The history entry of one prompt, or an empty dict while it has none."""
        entry: JSON = self.get_json(f"/history/{prompt_id}").get(prompt_id, {})
        return entry

    def queue(self, prompt: JSON, *, extra_data: JSON | None = None) -> str:
        """Queue a prompt in API format and return its id. Raises PromptRejected with the node errors."""
        body: JSON = {"prompt": prompt, "client_id": self.client_id}
        if extra_data is not None:
            body["extra_data"] = extra_data
        return str(self.post_json("/prompt", body)["prompt_id"])

    def interrupt(self, prompt_id: str | None = None) -> None:
        self.post_json("/interrupt", {"prompt_id": prompt_id} if prompt_id else {})

    def free(self) -> None:
        """Ask the host to unload its models and drop its caches."""
        self.post_json("/free", {"unload_models": True, "free_memory": True})

    def view(self, saved: SavedFile) -> bytes:
        """The bytes of a file that a node reported."""
        query = urllib.parse.urlencode(
            {"filename": saved.filename, "subfolder": saved.subfolder, "type": saved.type}
        )
        return self.request("GET", f"/view?{query}")

    def upload_image(self, path: Path, name: str | None = None) -> str:
        """Put a picture into the input folder and return the name that LoadImage knows it by."""
        boundary = uuid.uuid4().hex
        disposition = f"--{boundary}\r\nContent-Disposition: form-data"
        head = (
            f'{disposition}; name="image"; filename="{name or path.name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        tail = f'\r\n{disposition}; name="overwrite"\r\n\r\ntrue\r\n--{boundary}--\r\n'
        answer = self.request(
            "POST",
            "/upload/image",
            head.encode() + path.read_bytes() + tail.encode(),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        return str(json.loads(answer)["name"])

    def events(self) -> EventStream:
        """A stream of this client's events; use it in a `with` block and queue inside the block."""
        return EventStream(self.url, self.client_id)

    def run(
        self,
        prompt: JSON,
        *,
        timeout: float = 300.0,
        on_event: Callable[[Event], None] | None = None,
        extra_data: JSON | None = None,
    ) -> RunResult:
        """Queue a prompt, wait for its end and gather outputs, events and previews.

        `on_event` sees every event as it arrives and may call `interrupt`. Raises PromptRejected when
        validation fails, and PromptTimeout, after interrupting the prompt, when it takes longer than
        `timeout` seconds.
        """
        with self.events() as stream:
            started = time.monotonic()
            prompt_id = self.queue(prompt, extra_data=extra_data)
            seen: list[Event] = []
            final: Event | None = None
            while final is None:
                left = timeout - (time.monotonic() - started)
                event = stream.next(left) if left > 0 else None
                if event is None:
                    self.interrupt(prompt_id)
                    raise PromptTimeout(f"prompt {prompt_id} did not finish within {timeout:.0f} s")
                if event.data.get("prompt_id", prompt_id) != prompt_id:
                    continue
                seen.append(event)
                if on_event is not None:
                    on_event(event)
                if event.type in FINAL_EVENTS:
                    final = event
            seconds = time.monotonic() - started
        outputs = self._outputs(prompt_id)
        status = final.type.removeprefix("execution_")
        return RunResult(
            prompt_id=prompt_id,
            status=status,
            outputs=outputs,
            events=seen,
            seconds=seconds,
            error=None if status == "success" else final.data,
            files=[saved for node in outputs.values() for saved in _files_in(node)],
        )

    def _outputs(self, prompt_id: str) -> dict[str, JSON]:
        # The final event is sent a moment before the history entry is written.
        for _ in range(100):
            entry = self.history(prompt_id)
            if entry:
                return dict(entry.get("outputs", {}))
            time.sleep(0.05)
        raise PromptTimeout(f"the host kept no history of prompt {prompt_id}")


def _files_in(node_output: JSON) -> Iterator[SavedFile]:
    for value in node_output.values():
        for item in value if isinstance(value, list) else ():
            if isinstance(item, dict) and "filename" in item:
                yield SavedFile(item["filename"], item.get("subfolder", ""), item.get("type", "output"))
