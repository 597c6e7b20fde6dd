"""Fixtures that more than one room of tests needs: one running ComfyUI for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from host.client import ComfyClient
from host.families import FAMILY_PACK
from host.server import ComfyServer

# Screenshots show the words on the nodes at any zoom, and nothing that covers the graph.
READABLE_EDITOR = {"LiteGraph.Canvas.MinFontSizeForLOD": 0, "Comfy.Minimap.Visible": False}
# Threads wait for each other after every layer, by default in a busy loop. Beside another busy process that
# makes networks as small as the tests' ten times slower.
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyServer]:
    """A real ComfyUI with the pack, started at its first use and shared by tests/host and tests/browser.

    Tests give their output files prefixes of their own, and leave the queue empty.
    """
    base = Path(tmp_path_factory.mktemp("comfyui"))
    with ComfyServer(
        base, settings=READABLE_EDITOR, environ=PATIENT_THREADS, extra_packs=[FAMILY_PACK]
    ) as server:
        yield server


@pytest.fixture
def client(host: ComfyServer) -> ComfyClient:
    """A client with an id of its own, so that one test never sees another's events."""
    return host.client()
