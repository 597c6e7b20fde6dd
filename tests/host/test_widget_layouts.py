"""The exporter's table of widgets is what the real host says of its nodes and of ours."""

from __future__ import annotations

from host.client import ComfyClient
from widget_layouts import TABLE, layouts, text


def test_the_table_of_widgets_is_that_of_the_host(client: ComfyClient) -> None:
    ours = TABLE.read_text(encoding="utf-8")

    assert ours == text(layouts(client.object_info())), (
        "the nodes changed: run tools/widget_layouts.py with the address of a running ComfyUI"
    )
