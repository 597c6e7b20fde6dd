// What of ComfyUI's editor a send needs: the graph as it is now, and the pack's nodes in it.
import { app } from "../../../scripts/app.js";

export const SEND_NODES = ["PocketVideoSendToDevice", "PocketVideoRunOnDevice"];

/** The graph on the canvas as a send takes it, and `key`, which differs when what would be sent does. */
export async function currentGraph() {
  const { output, workflow } = await app.graphToPrompt();
  return { prompt: output, workflow, key: JSON.stringify(output) };
}

/** The name that the person gave the workflow, without its folder and ending; empty before it was saved. */
export function workflowName() {
  const active = app.extensionManager.workflow?.activeWorkflow;
  return active && !active.isTemporary ? (active.filename ?? "") : "";
}

/** The value of a node's widget, or undefined. */
export function widgetValue(node, name) {
  return node.widgets?.find((widget) => widget.name === name)?.value;
}

/** The node that a send ends in, by its id; where none is named, the only one of the pack on the canvas. */
export function sendNode(id) {
  const nodes = app.graph.nodes.filter((node) => SEND_NODES.includes(node.comfyClass));
  if (id !== undefined) return nodes.find((node) => String(node.id) === id);
  return nodes.length === 1 ? nodes[0] : undefined;
}

/** Open the workflow that a file in ComfyUI's output folder carries, as if it were dropped on the canvas. */
export async function openWorkflowOf(file, address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${file.filename} is not in ComfyUI's output folder any more.`);
  const blob = await response.blob();
  await app.handleFile(new File([blob], file.filename, { type: blob.type }));
}
