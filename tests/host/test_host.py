"""The host itself: it starts with the pack, runs a graph, sends events, and reports what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from host.client import ComfyClient, PromptRejected
from host.server import NODE_IDS, ComfyServer, HostError, locate


def empty_picture(prefix: str, width: int = 64) -> dict:
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": 64, "batch_size": 1, "color": 255},
        },
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def test_serves_every_node_of_the_pack(client: ComfyClient) -> None:
    info = client.object_info()
    for node in NODE_IDS:
        assert info[node]["category"].startswith("PocketVideo"), node


def test_runs_a_graph_and_hands_back_its_file(host: ComfyServer, client: ComfyClient) -> None:
    result = client.run(empty_picture("host-smoke")).require_success()

    (saved,) = result.node_files("2")
    assert client.view(saved).startswith(b"\x89PNG")
    assert (host.output / saved.filename).is_file()
    assert [event.type for event in result.events][-1] == "execution_success"


def test_a_refused_prompt_names_the_node_and_the_input(client: ComfyClient) -> None:
    with pytest.raises(PromptRejected) as refused:
        client.queue(empty_picture("host-refused", width=-1))

    (error,) = refused.value.node_errors["1"]["errors"]
    assert error["type"] == "value_smaller_than_min"
    assert error["extra_info"]["input_name"] == "width"
    assert str(refused.value).startswith(
        "ComfyUI refused the workflow. node 1 (EmptyImage): Value -1 smaller"
    )


def test_a_missing_host_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"holds no main\.py; run `make setup`"):
        locate({"COMFYUI_PATH": str(tmp_path)})
