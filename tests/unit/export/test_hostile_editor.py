"""T9: whatever JSON comes in the editor's format, it is a plan or one sentence, within seconds."""

import json
import time

import pytest
from comfyui_pocketvideo.pocketvideo.export import WorkflowError, compile_workflow, parse_prompt
from comfyui_pocketvideo.pocketvideo.export.editor import MAX_HOPS, to_prompt
from comfyui_pocketvideo.pocketvideo.export.editor_values import first_choices
from comfyui_pocketvideo.pocketvideo.export.prompt import MAX_NODES, MAX_PROMPT_BYTES, MAX_TEXT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.export import editors, prompts
from unit.export.editors import SUBGRAPH

# A hang is what is looked for: the slowest case takes about a second on a slow machine.
SECONDS = 30


def outcome(workflow):
    started = time.monotonic()
    try:
        plan = compile_workflow(workflow, None, prompts.Desk())
    except WorkflowError as error:
        message = str(error)
        assert message.isprintable()
        assert 0 < len(message) < 1000
        return message
    finally:
        assert time.monotonic() - started < SECONDS
    json.dumps([plan.inputs, plan.ops, plan.workflow], allow_nan=False).encode()
    return plan


def refused(workflow):
    message = outcome(workflow)
    assert isinstance(message, str)
    return message


def reroute(key, link, **more):
    return editors.node(key, "Reroute", {"": ("*", link)}, ["*"], **more)


def test_t09_reroutes_in_a_circle():
    workflow = editors.insert(editors.text_to_video(), 3, reroute(40, None))
    workflow["nodes"].append(reroute(41, 90))
    workflow["links"] = [item for item in workflow["links"] if item[0] != 3]
    workflow["links"] += [[90, 40, 0, 41, 0, "*"], [3, 41, 0, 40, 0, "*"]]

    assert "leads back to itself" in refused(workflow)


def test_t09_a_node_linked_to_itself():
    workflow = editors.text_to_video()
    workflow["links"][6] = [7, editors.DECODE, 0, editors.DECODE, 0, "LATENT"]

    assert "depends on itself" in refused(workflow)


def test_t09_a_chain_of_reroutes_deeper_than_the_stack():
    workflow, count = editors.text_to_video(), 3900
    keys = range(1000, 1000 + count)
    workflow["nodes"] += [reroute(key, key) for key in keys]
    workflow["links"] += [[key, key - 1, 0, key, 0, "*"] for key in keys[1:]]
    workflow["links"] += [[1000, 1, 0, 1000, 0, "MODEL"]]
    workflow["links"] = [item for item in workflow["links"] if item[0] != 3]
    workflow["links"] += [[3, keys[-1], 0, editors.SAMPLER, 0, "MODEL"]]

    assert to_prompt(workflow)[str(editors.SAMPLER)]["inputs"]["model"] == ["1", 0]


def test_t09_many_inputs_at_the_end_of_a_long_chain():
    nodes = [reroute(key, key) for key in range(3000)]
    nodes += [
        {"id": key, "type": "X", "inputs": [{"name": "a", "type": "*", "link": 3000}] * 256}
        for key in range(3000, 4000)
    ]
    links = [[key, key - 1, 0, key, 0, "*"] for key in range(1, 3001)]

    assert "too long to follow" in refused({"nodes": nodes, "links": links})
    assert MAX_HOPS < 3000 * 256 * 1000


@pytest.mark.parametrize("count", [MAX_NODES + 1, 200_000])
def test_t09_too_many_nodes(count):
    assert f"{count} nodes" in refused({"nodes": [{"id": 1, "type": "X"}] * count, "links": []})


def test_t09_too_many_links():
    assert "links" in refused({"nodes": [], "links": [[1, 1, 0, 1, 0, "*"]] * 100_000})


def test_t09_a_subgraph_that_contains_itself():
    workflow = editors.with_subgraph()
    workflow["definitions"]["subgraphs"][0]["nodes"].append(editors.find(workflow, 30))

    assert "contains itself" in refused(workflow)


def nested(levels, twins, kinds=None):
    """Subgraphs in subgraphs, with that many of the next in each."""
    definitions = [
        {
            "id": f"level-{level}",
            "nodes": [
                {
                    "id": key,
                    "type": f"level-{level + 1}" if level + 1 < levels else "X",
                    "inputs": [{"name": "a", "type": "*", "link": 1, "widget": {"name": "a"}}],
                }
                for key in range(twins)
            ],
            "inputs": [{"name": "a", "linkIds": [1] * (kinds or 1)}],
            "links": [{"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 0, "target_slot": 0}],
        }
        for level in range(levels)
    ]
    top = {"id": 1, "type": "level-0", "inputs": [{"name": "a", "type": "*", "link": None}]}
    return {"nodes": [top], "links": [], "definitions": {"subgraphs": definitions}}


def test_t09_subgraphs_that_multiply():
    assert "once its subgraphs are expanded" in refused(nested(12, 12))


def test_t09_subgraphs_nested_too_deeply():
    assert "nested in more than" in refused(nested(100, 1))


def test_t09_inputs_of_subgraphs_that_lead_through_many_links():
    workflow = nested(12, 1, kinds=60_000)
    for definition in workflow["definitions"]["subgraphs"]:
        definition["links"][0]["target_id"] = "gone"

    assert refused(workflow)


def test_t09_subgraphs_that_promote_through_circles():
    workflow = nested(2, 1)
    for definition in workflow["definitions"]["subgraphs"]:
        definition["nodes"][0]["type"] = "level-0"

    assert "contains itself" in refused(workflow)


@pytest.mark.parametrize("text", ["{" * MAX_TEXT, "/*" * MAX_TEXT, "{|" * MAX_TEXT, "\\" * MAX_TEXT, "}//\n"])
def test_t09_prompts_full_of_braces_and_comments(text):
    workflow = editors.text_to_video()
    editors.find(workflow, editors.POSITIVE)["widgets_values"] = [text[:MAX_TEXT]]
    outcome(workflow)
    first_choices(text * 10)


def test_t09_long_prompts_in_many_copies_of_a_subgraph():
    workflow = editors.with_subgraph()
    inner = workflow["definitions"]["subgraphs"][0]["nodes"]
    inner[1]["widgets_values"] = ["{a|b}" * (MAX_TEXT // 5)]
    host = editors.find(workflow, 30)
    workflow["nodes"] += [dict(host, id=key) for key in range(100, 1100)]

    assert refused(workflow)


CORPUS = [
    '{"nodes": [], "links": []}',
    '{"nodes": [null], "links": []}',
    '{"nodes": [[]], "links": []}',
    '{"nodes": [{"id": {}, "type": "X"}]}',
    '{"nodes": [{"id": true, "type": "X"}]}',
    '{"nodes": [{"id": 1, "type": "X", "inputs": 5}]}',
    '{"nodes": [{"id": 1, "type": "X", "inputs": [5, null, [], {"name": [], "type": {}, "link": []}]}]}',
    '{"nodes": [{"id": 1, "type": "X", "outputs": {"0": 1}}]}',
    '{"nodes": [{"id": 1, "type": "X\\u0000"}]}',
    '{"nodes": [{"id": 1, "type": "SaveVideo", "mode": "4", "widgets_values": "text"}]}',
    '{"nodes": [{"id": 1, "type": "SaveVideo", "title": {"a": 1}, "properties": []}], "links": null}',
    '{"nodes": [], "links": {"1": [1, 2, 3, 4, 5]}}',
    '{"nodes": [], "links": [[1, 2, -1, 4, 5]]}',
    '{"nodes": [], "links": [[1, 2, 1e300, 4, 5]]}',
    '{"nodes": [], "links": [], "definitions": 7}',
    '{"nodes": [], "links": [], "definitions": {"subgraphs": [1, {"id": []}, {"id": "a", "nodes": 3}]}}',
    '{"nodes": [{"id": 1, "type": "a"}], "definitions": {"subgraphs": [{"id": "a", "nodes": 3}]}}',
    '{"nodes": [{"id": 1, "type": "a"}],'
    ' "definitions": {"subgraphs": [{"id": "a", "nodes": [], "inputs": 1}]}}',
    '{"nodes": [{"id": 1, "type": "a", "widgets_values": [1], "properties": {"proxyWidgets": [1, [], ["b"]]},'
    ' "inputs": []}], "definitions": {"subgraphs": [{"id": "a", "name": ["x"], "nodes": []}]}}',
    '{"nodes": [{"id": 9007199254740993, "type": "SaveVideo"}, {"id": "9007199254740993", "type": "X"}]}',
    '{"nodes": [{"id": 1, "type": "KSampler", "widgets_values": {"seed": {"a": [1]}}}]}',
]


@pytest.mark.parametrize("text", CORPUS)
def test_t09_corpus_of_broken_workflows(text):
    refused(parse_prompt(text))


@pytest.mark.parametrize("make", [editors.text_to_video, editors.with_subgraph], ids=lambda f: f.__name__)
def test_t09_every_single_field_replaced_by_something_else(make):
    """A fuzz corpus by enumeration: each value of a good workflow in turn becomes each of these."""
    strange = [None, -1, 10**30, "", "x" * 200, [], {}, [[1, 0]], {"a": []}, 0.5, True, SUBGRAPH]
    whole = json.dumps(make())
    for path in list(_paths(json.loads(whole))):
        for value in strange:
            workflow = json.loads(whole)
            holder = workflow
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = value
            outcome(workflow)


def _paths(value, before=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*before, key)
        yield from _paths(inner, (*before, key))


leaves = st.none() | st.booleans() | st.integers(-30, 2**70) | st.floats() | st.text(max_size=8)
json_values = st.recursive(
    leaves | st.sampled_from([SUBGRAPH, "Reroute", "PrimitiveNode", "SaveVideo", "*"]),
    lambda children: (
        st.lists(children, max_size=5)
        | st.dictionaries(
            st.sampled_from(["id", "type", "inputs", "nodes", "links", "link", "name", "widget", "mode"]),
            children,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(json_values, json_values, json_values)
def test_t09_any_json_in_the_editors_format_is_a_plan_or_a_sentence(nodes, links, definitions):
    outcome({"nodes": nodes if isinstance(nodes, list) else [nodes], "links": links})
    subgraphs = {"subgraphs": definitions if isinstance(definitions, list) else [definitions]}
    workflow = editors.with_subgraph()
    outcome(workflow | {"links": links})
    outcome(workflow | {"definitions": subgraphs})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_t09_any_rewiring_of_a_good_workflow_is_a_plan_or_a_sentence(data):
    workflow = editors.with_subgraph()
    definition = workflow["definitions"]["subgraphs"][0]
    ends = st.sampled_from([1, 4, 6, 7, 8, 30, 2, 3, 5, -10, -20])
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            link = data.draw(st.sampled_from(workflow["links"]))
            link[1:5] = [data.draw(ends), data.draw(st.integers(0, 4)), data.draw(ends), link[4]]
        else:
            link = data.draw(st.sampled_from(definition["links"]))
            link |= {"origin_id": data.draw(ends), "origin_slot": data.draw(st.integers(0, 5))}
        node = data.draw(st.sampled_from(workflow["nodes"] + definition["nodes"]))
        node["mode"] = data.draw(st.sampled_from([0, 0, 2, 4]))
        node["type"] = data.draw(st.sampled_from([node["type"], "Reroute", "PrimitiveNode", SUBGRAPH]))
    outcome(workflow)


def test_t09_the_largest_file_that_is_read_at_all():
    one = json.dumps({"id": 1, "type": "X", "widgets_values": ["{a|b}//"] * 50})
    count = min(MAX_NODES, MAX_PROMPT_BYTES // (len(one) + 12))
    nodes = ",".join(one.replace('"id": 1', f'"id": {key}') for key in range(count))

    assert "no output" in refused(parse_prompt('{"nodes": [' + nodes + "]}"))
