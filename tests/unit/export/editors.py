"""Workflows in the editor's format, made by functions so that a test can break one value.

Node ids are numbers and links lists, as version 0.4 writes them; in subgraphs links are objects.
"""

from typing import Any

LOADER, POSITIVE, NEGATIVE, SIZE, SAMPLER, DECODE, VIDEO, SAVE = range(1, 9)


def node(key: int, kind: str, inputs: dict[str, tuple[str, int | None]], outputs: list[str], **more: Any):
    """A node; `inputs` are type and link by name, and `more` replaces or adds fields."""
    sockets = [{"name": name, "type": kind_, "link": link} for name, (kind_, link) in inputs.items()]
    made = {"id": key, "type": kind, "mode": 0, "inputs": sockets, "widgets_values": []}
    made |= {"pos": [0, 100 * key], "size": [200, 80], "flags": {}, "order": key, "properties": {}}
    return made | {"outputs": [{"name": name, "type": name, "links": []} for name in outputs]} | more


def text_to_video() -> dict[str, Any]:
    """The quickstart, as the editor saves it."""
    nodes = [
        node(
            LOADER,
            "PocketVideoModelLoader",
            {},
            ["MODEL", "CLIP", "VAE"],
            widgets_values=["shapes.safetensors", "models folder"],
        ),
        node(
            POSITIVE,
            "CLIPTextEncode",
            {"clip": ("CLIP", 1)},
            ["CONDITIONING"],
            title="What you want",
            widgets_values=["a red circle moves left"],
        ),
        node(
            NEGATIVE,
            "CLIPTextEncode",
            {"clip": ("CLIP", 2)},
            ["CONDITIONING"],
            title="What you do not want",
            widgets_values=[""],
        ),
        node(SIZE, "PocketVideoEmptyLatent", {}, ["LATENT"], widgets_values=[64, 48, 17, 1]),
        node(
            SAMPLER,
            "KSampler",
            {
                "model": ("MODEL", 3),
                "positive": ("CONDITIONING", 4),
                "negative": ("CONDITIONING", 5),
                "latent_image": ("LATENT", 6),
            },
            ["LATENT"],
            title="Sample",
            widgets_values=[7, "randomize", 25, 4, "euler", "simple", 1],
        ),
        node(DECODE, "VAEDecode", {"samples": ("LATENT", 7), "vae": ("VAE", 8)}, ["IMAGE"]),
        node(
            VIDEO,
            "CreateVideo",
            {"images": ("IMAGE", 9), "audio": ("AUDIO", None)},
            ["VIDEO"],
            widgets_values=[12, 8],
        ),
        node(SAVE, "SaveVideo", {"video": ("VIDEO", 10)}, [], widgets_values=["v", "auto", "auto"]),
        node(20, "MarkdownNote", {}, [], widgets_values=["read me"]),
    ]
    links = [
        [1, LOADER, 1, POSITIVE, 0, "CLIP"],
        [2, LOADER, 1, NEGATIVE, 0, "CLIP"],
        [3, LOADER, 0, SAMPLER, 0, "MODEL"],
        [4, POSITIVE, 0, SAMPLER, 1, "CONDITIONING"],
        [5, NEGATIVE, 0, SAMPLER, 2, "CONDITIONING"],
        [6, SIZE, 0, SAMPLER, 3, "LATENT"],
        [7, SAMPLER, 0, DECODE, 0, "LATENT"],
        [8, LOADER, 2, DECODE, 1, "VAE"],
        [9, DECODE, 0, VIDEO, 0, "IMAGE"],
        [10, VIDEO, 0, SAVE, 0, "VIDEO"],
    ]
    return {"nodes": nodes, "links": links, "last_node_id": 60, "last_link_id": 60, "version": 0.4}


def find(workflow: dict[str, Any], key: int) -> dict[str, Any]:
    return next(item for item in workflow["nodes"] if item["id"] == key)


def insert(workflow: dict[str, Any], link: int, made: dict[str, Any]) -> dict[str, Any]:
    """Put a node into a link: its first input takes it, its first output goes on."""
    entry = next(item for item in workflow["links"] if item[0] == link)
    further = 1 + max(item[0] for item in workflow["links"])
    target, slot, kind = entry[3:]
    entry[3:5] = [made["id"], 0]
    made["inputs"][0]["link"] = link
    workflow["links"].append([further, made["id"], 0, target, slot, kind])
    find(workflow, target)["inputs"][slot]["link"] = further
    workflow["nodes"].append(made)
    return workflow


def widget_input(workflow: dict[str, Any], key: int, name: str, kind: str, source: dict[str, Any]) -> None:
    """Link the first output of a new node to a widget of a node."""
    further = 1 + max(item[0] for item in workflow["links"])
    target = find(workflow, key)
    target["inputs"].append({"name": name, "type": kind, "link": further, "widget": {"name": name}})
    workflow["links"].append([further, source["id"], 0, key, len(target["inputs"]) - 1, kind])
    workflow["nodes"].append(source)


SUBGRAPH = "59b2f9c7-af11-45c8-a22b-871166f816c0"


def with_subgraph(**host: Any) -> dict[str, Any]:
    """The quickstart with prompt and sampler in a subgraph; text and steps are set on its outside."""
    flat = text_to_video()
    inside = [find(flat, key) for key in (POSITIVE, NEGATIVE, SAMPLER)]
    inside[0]["inputs"][0]["link"] = 1
    inside[0]["inputs"].append({"name": "text", "type": "STRING", "link": 11, "widget": {"name": "text"}})
    inside[2]["inputs"].append({"name": "steps", "type": "INT", "link": 12, "widget": {"name": "steps"}})
    ends = {
        1: (-10, 1, POSITIVE, 0),
        2: (-10, 1, NEGATIVE, 0),
        3: (-10, 0, SAMPLER, 0),
        4: (POSITIVE, 0, SAMPLER, 1),
        5: (NEGATIVE, 0, SAMPLER, 2),
        6: (-10, 2, SAMPLER, 3),
        7: (SAMPLER, 0, -20, 0),
        11: (-10, 3, POSITIVE, 1),
        12: (-10, 4, SAMPLER, 4),
    }
    names = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    definition = {
        "id": SUBGRAPH,
        "name": "Text to latent",
        "version": 1,
        "revision": 0,
        "config": {},
        "state": {"lastNodeId": 60, "lastLinkId": 60, "lastGroupId": 0, "lastRerouteId": 0},
        "inputNode": {"id": -10, "bounding": [0, 0, 100, 100]},
        "outputNode": {"id": -20, "bounding": [500, 0, 100, 100]},
        "inputs": [
            {"id": "p1", "name": "model", "type": "MODEL", "linkIds": [3]},
            {"id": "p2", "name": "clip", "type": "CLIP", "linkIds": [1, 2]},
            {"id": "p3", "name": "latent_image", "type": "LATENT", "linkIds": [6]},
            {"id": "p4", "name": "text", "type": "STRING", "linkIds": [11]},
            {"id": "p5", "name": "steps", "type": "INT", "linkIds": [12]},
        ],
        "outputs": [{"id": "p6", "name": "LATENT", "type": "LATENT", "linkIds": [7]}],
        "nodes": inside,
        "links": [
            dict(zip(names, (key, *value), strict=True)) | {"type": "*"} for key, value in ends.items()
        ],
    }
    flat["nodes"] = [item for item in flat["nodes"] if item not in inside]
    flat["nodes"].append(
        node(
            30,
            SUBGRAPH,
            {
                "model": ("MODEL", 3),
                "clip": ("CLIP", 1),
                "latent_image": ("LATENT", 6),
                "text": ("STRING", None),
                "steps": ("INT", None),
            },
            ["LATENT"],
            **({"widgets_values": ["a blue star spins", 9]} | host),
        )
    )
    for socket in flat["nodes"][-1]["inputs"][3:]:
        socket["widget"] = {"name": socket["name"]}
    flat["links"] = [
        [1, LOADER, 1, 30, 1, "CLIP"],
        [3, LOADER, 0, 30, 0, "MODEL"],
        [6, SIZE, 0, 30, 2, "LATENT"],
        [7, 30, 0, DECODE, 0, "LATENT"],
        *(item for item in flat["links"] if item[0] in (8, 9, 10)),
    ]
    return flat | {"definitions": {"subgraphs": [definition]}}


def settled(workflow: dict[str, Any]) -> dict[str, Any]:
    """The workflow with the links of every output listed at the output, too, as the editor wants them."""
    for graph in [workflow, *(workflow.get("definitions") or {}).get("subgraphs", [])]:
        ends = [link if isinstance(link, list) else list(link.values()) for link in graph["links"]]
        for item in graph["nodes"]:
            for slot, output in enumerate(item["outputs"]):
                output["links"] = [end[0] for end in ends if end[1] == item["id"] and end[2] == slot]
    return workflow
