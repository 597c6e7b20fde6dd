"""The bridge held to its own OpenAPI document by schemathesis, over TLS, with a paired token (section 16).

Half of the requests name things that are there (a job, a bundle, a result), so that handlers are reached.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from comfyui_pocketvideo.mobile_runtime.agent.home import Pairing
from comfyui_pocketvideo.mobile_runtime.bridge import Bridge, Limits
from comfyui_pocketvideo.mobile_runtime.bridge.openapi import OPERATIONS, document
from comfyui_pocketvideo.mobile_runtime.bridge.routes import PATTERNS, ROUTES
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from unit.bridge import tiny_bundle
from unit.bridge.client import Client, client_for
from unit.bridge.conftest import pair_device, wait_for
from unit.bridge.test_device_results import announce, announcement
from unit.bridge.work import Pushes, take

DOCUMENT = document(ROUTES, PATTERNS)
EXAMPLES = 12
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("video/mp4", "image/webp")
def as_bytes(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Any value as a body, as nobody says what is in a film."""
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode()


schema = schemathesis.openapi.from_dict(DOCUMENT)


class Place:
    """A bridge with a job in work and a result on its way, and how to reach it."""

    def __init__(self, folder: Path, pairing: Pairing) -> None:
        self.base = f"https://{pairing.host}:{pairing.port}"
        self.client: Client = client_for(pairing)
        self.known: dict[str, str] = {}
        self.turn = itertools.count()
        certificate = folder / "ca.pem"
        certificate.write_bytes(
            x509.load_der_x509_certificate(pairing.certificate).public_bytes(Encoding.PEM)
        )
        self.session = requests.Session()
        self.session.verify = str(certificate)
        self.session.trust_env = False
        self.session.headers["Origin"] = self.base


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("openapi")
    bridge = Bridge(folder / "desk", limits=Limits(longest_poll_seconds=0.02, body_idle_seconds=5.0))
    bridge.start()
    pairing = pair_device(bridge, folder / "device")
    place = Place(folder, pairing)
    bundle = tiny_bundle.build(folder / "bundle", ballast=(1000,))
    pushes = Pushes(bridge)
    pushes.start(None, bundle, connect_seconds=300.0)
    job = wait_for(lambda: take(place.client))
    assert announce(place.client, announcement()).status == 201
    place.known = {
        "job_id": job["job_id"],
        "bundle_id": bundle.id,
        "sha256": next(iter(bundle.files.values()))["sha256"],
        "result_id": announcement()["result_id"],
        "file": "trust.css",
    }
    yield place
    place.session.close()
    pushes.cancel.set()
    pushes.pool.shutdown()
    bridge.stop()


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_bridge_or_its_word(case: schemathesis.Case, place: Place) -> None:
    headers: dict[str, Any] = {}
    # The device must stay paired for the others.
    if case.method != "DELETE":
        headers["Authorization"] = f"Bearer {place.client.token}"
    checks = [*CHECKS, negative_data_rejection]
    names = [name for name in case.path_parameters if name in place.known]
    if names and next(place.turn) % 2:
        for name in names:
            case.path_parameters[name] = place.known[name]
        checks = CHECKS  # what is left of the case may be right
    case.call_and_validate(
        place.base, place.session, headers=headers, checks=checks, timeout=30, verify=place.session.verify
    )


def test_the_document_is_served_to_anybody_and_covers_every_route(place: Place) -> None:
    answer = place.session.get(f"{place.base}/v1/openapi.json", timeout=30)
    assert answer.json() == DOCUMENT and answer.headers["Content-Type"].startswith("application/json")
    assert set(OPERATIONS) == {f"{route.method} {route.path}" for route in ROUTES}
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert ("security" in operation) == (route.access.value == "paired"), route.path
        assert ("requestBody" in operation) == bool(route.body), route.path


def test_the_document_names_the_querys_of_the_table(place: Place) -> None:
    for route in ROUTES:
        parameters = DOCUMENT["paths"][route.path][route.method.lower()].get("parameters", [])
        names = tuple(item["name"] for item in parameters if item["in"] == "query")
        assert names == route.query, route.path
    for query in ("wait=1&wait=2", "wait=1&token=x", "x=1", "wait=26", "wait=-1", "wait=nan"):
        answer = place.client.get(f"/v1/jobs/next?{query}")
        assert answer.status == 400, query


def test_a_method_that_is_not_there_is_told_which_are(place: Place) -> None:
    answer = place.session.put(f"{place.base}/v1/device", timeout=30)
    assert answer.status_code == 405 and set(answer.headers["Allow"].split(",")) == {"DELETE", "GET"}
