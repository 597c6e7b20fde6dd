"""What Leap Report shows: the runs that a latent came from, looked up in the running prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from ...pocketvideo.acceleration.leap_record import LeapRecord
from ...pocketvideo.eval.leap_plot import leap_plot, message_plot
from .leaping import LeapFunction

_NOT_A_LEAP = "This sampler does not come from Leap: link Leap's output here and to the sampling node."
_NO_RUN = (
    "None of the nodes before this latent sampled with this Leap: link Leap's output to the sampling node, "
    "and what that node made to this one."
)


@dataclass(frozen=True)
class Report:
    """A line, pictures of one size (at least one), and plain data for JSON."""

    summary: str
    pictures: list[Image.Image]
    data: dict[str, Any]


def report_runs(sampler: Any, prompt: Mapping[str, Any], node_id: str) -> Report:
    """The runs of a leaping SAMPLER that went into the `samples` of the Leap Report node `node_id`.

    A latent may have been sampled in several stages; each has a picture. Where there is no run, the report
    says why instead of failing, so that a workflow still runs with its Leap bypassed.
    """
    function = getattr(sampler, "sampler_function", None)
    if not isinstance(function, LeapFunction):
        return _nothing(_NOT_A_LEAP)
    before = nodes_before(prompt, prompt[node_id]["inputs"].get("samples"))
    runs = {node: record for node, record in function.runs.items() if node in before}
    if not runs:
        return _nothing(_NO_RUN)
    summary = " ".join(_told(node, record, len(runs)) for node, record in runs.items())
    names = {node: f"node {node}" if len(runs) > 1 else "" for node in runs}
    pictures = [leap_plot(record, names[node]) for node, record in runs.items()]
    return Report(
        summary, pictures, {"summary": summary, "runs": {node: run.as_dict() for node, run in runs.items()}}
    )


def nodes_before(prompt: Mapping[str, Any], link: Any) -> set[str]:
    """The ids of all nodes that a link `[node id, output]` of a prompt in API format depends on."""
    found: set[str] = set()
    waiting = [link]
    while waiting:
        value = waiting.pop()
        if not (isinstance(value, list) and len(value) == 2 and str(value[0]) in prompt):
            continue
        node = str(value[0])
        if node not in found:
            found.add(node)
            waiting.extend(prompt[node].get("inputs", {}).values())
    return found


def _told(node: str, record: LeapRecord, runs: int) -> str:
    return f"Node {node}: {record.sentence()}" if runs > 1 else record.sentence()


def _nothing(sentence: str) -> Report:
    return Report(sentence, [message_plot(sentence)], {"summary": sentence, "runs": {}})
