"""A plain HTTPS client for tests: any header, any path, nothing tidied up on the way."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comfyui_pocketvideo.mobile_runtime.agent.desk import pinned_context
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing


@dataclass
class Answer:
    """A whole answer."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Client:
    """Sends one request per connection, with a right Host and Origin unless told otherwise."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, token: str | None = None) -> None:
        self.host, self.port, self.context, self.token = host, port, context, token

    @property
    def origin(self) -> str:
        return f"https://{self.host}:{self.port}"

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str | None] | None = None,
        *,
        timeout: float = 30.0,
    ) -> Answer:
        """`body` may be bytes or a JSON value; a header of None is left out."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
        merged: dict[str, str | None] = {"Host": f"{self.host}:{self.port}"}
        if method != "GET":
            merged["Origin"] = self.origin
        if body is not None:
            merged["Content-Length"] = str(len(data))
            merged["Content-Type"] = "application/json"
        if self.token is not None:
            merged["Authorization"] = f"Bearer {self.token}"
        merged.update(headers or {})
        connection = http.client.HTTPSConnection(self.host, self.port, context=self.context, timeout=timeout)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in merged.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders()
            if data:
                connection.send(data)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Answer:
        return self.send("GET", path, headers=headers)


def client_for(pairing: Pairing) -> Client:
    """A client that trusts what the paired device trusts, and carries its token."""
    return Client(pairing.host, pairing.port, pinned_context(pairing.certificate), pairing.token)
