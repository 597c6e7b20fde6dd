"""The compiler: a ComfyUI workflow becomes a plan that a device can run."""

from typing import Any

# Importing them fills the registry.
from . import (  # noqa: F401
    lowerings,
    lowerings_few_step,
    lowerings_latents,
    lowerings_leap,
    lowerings_loaders,
    lowerings_primitive,
    lowerings_sampling,
    lowerings_schedules,
    lowerings_wan,
)
from .editor import to_prompt
from .editor_graph import is_editor_format
from .errors import WorkflowError
from .lowering import REGISTRY, Reader, entry
from .modelfile import file_of
from .parts import plan_parts
from .plan import FIRST_DENOISER, Lookups, Plan, PlanBuilder
from .prompt import Node, ancestors, check_prompt, read_node

# Where a workflow may end for a device, the likeliest wish first.
ENDS = ("PocketVideoSendToDevice", "PocketVideoRunOnDevice", "SaveVideo", "SaveAnimatedWEBP")


def compile_workflow(prompt: Any, output_node_id: str | None, lookups: Lookups) -> Plan:
    """Compile the part of a workflow that the output node depends on.

    Args:
        prompt: a ComfyUI prompt in API format, or a workflow as the editor saves it. It may be any JSON:
            nothing in it is trusted.
        output_node_id: the node to end in; `None` takes the prompt's one Send to Device node, else its one
            Run on Device node, else its one Save Video node.
        lookups: what the desk knows of the models and images that the prompt names.

    Raises:
        UnsupportedNode: a node on the way has no lowering.
        WorkflowError: anything else that a device could not run. Each message is one sentence.
    """
    if is_editor_format(prompt):
        prompt = to_prompt(prompt)
    check_prompt(prompt)
    output_id = _find_output(prompt) if output_node_id is None else output_node_id
    nodes = ancestors(prompt, output_id)
    registered = [(node, entry(node)) for node in nodes]
    end = nodes[-1]
    if not registered[-1][1].output:
        raise WorkflowError(
            f"Node {end.label} is not a place where a video ends; choose a Save Video node instead."
        )
    build = PlanBuilder()
    outputs: dict[str, tuple[Any, ...]] = {}
    for node, known in registered:
        outputs[node.id] = known.lower(Reader(node, outputs, is_end=node is end), build, lookups)
    parts = plan_parts(nodes, outputs, build.denoisers)
    models = {} if parts else _models(nodes, outputs, end, build)
    return Plan(
        model_name=models.pop(FIRST_DENOISER, ""),
        inputs=build.inputs,
        ops=tuple(build.ops),
        photos=build.photos,
        workflow={node.id: node.to_json() for node in nodes},
        parts=parts,
        relatives={component: file_of(name) for component, name in models.items()},
    )


def _find_output(prompt: dict[str, Any]) -> str:
    found: dict[str, list[str]] = {name: [] for name in ENDS}
    for node_id, raw in prompt.items():
        class_type = raw.get("class_type") if isinstance(raw, dict) else None
        if isinstance(node_id, str) and isinstance(class_type, str) and class_type in found:
            found[class_type].append(node_id)
    for ids in found.values():
        if len(ids) == 1:
            return ids[0]
        if ids:
            names = " and ".join(read_node(prompt, node_id).label for node_id in ids[:3])
            raise WorkflowError(f"The workflow ends in several places, {names}; name the one to compile.")
    raise WorkflowError('The workflow has no output that a device can make; add a "Send to Device" node.')


def _models(
    nodes: list[Node], outputs: dict[str, tuple[Any, ...]], end: Node, build: PlanBuilder
) -> dict[str, str]:
    """The model file of every denoiser. A student and its parent are one model with two of them."""
    names = {outputs[node.id][0].name for node in nodes if node.class_type == "PocketVideoModelLoader"}
    if len(names) != 1:
        raise WorkflowError(
            f"Node {end.label} depends on {len(names)} models, and a device runs one; "
            'use one "Load Pocket Video Model" node, or one more for a student of the same model.'
        )
    return {component: str(name) for name, component in build.denoisers.items()}


def supported_class_types() -> tuple[str, ...]:
    """The class types that have a lowering, sorted."""
    return tuple(sorted(REGISTRY))
