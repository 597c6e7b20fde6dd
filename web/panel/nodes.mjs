// The pack's nodes on the canvas: right-click entries, a fresh list of devices, room for text, a word when done.
import { app } from "../../../scripts/app.js";
import { api } from "../../../scripts/api.js";
import { desk } from "./desk.mjs";
import { SEND_NODES } from "./graph.mjs";
import { openPanel } from "./panel.mjs";

// Nodes that show a line of text above a picture, and the pixels that two lines take.
const TEXT_AND_PICTURE = ["PocketVideoLeapReport", "PocketVideoCompareVideos"];
const TEXT_HEIGHT = 58;

/** Change a node's class before ComfyUI registers it. */
export function prepareNode(nodeType, nodeData) {
  if (TEXT_AND_PICTURE.includes(nodeData.name)) leaveRoomForThePicture(nodeType);
  if (SEND_NODES.includes(nodeData.name)) tellWhenDone(nodeType, nodeData.display_name);
}

/** What a right click on one of the sending nodes offers. */
export function nodeMenu(node) {
  if (!SEND_NODES.includes(node.comfyClass)) return [];
  const target = node.graph === app.graph ? String(node.id) : undefined;
  return [
    null,
    { content: "PocketVideo: Send this workflow", callback: () => openPanel("send", { target }) },
    { content: "PocketVideo: Pair a device", callback: () => openPanel("pair") },
  ];
}

/** What a right click on the empty canvas offers. */
export function canvasMenu() {
  return [null, { content: "PocketVideo: Send this workflow", callback: () => openPanel("send") }];
}

/** The list of devices in the nodes is made when ComfyUI draws them; keep it true while devices come and go. */
export function keepDeviceLists() {
  let known = null;
  desk.addEventListener("change", async () => {
    const names = JSON.stringify(desk.devices.map((device) => [device.device_id, device.name]));
    const before = known;
    known = names;
    if (before === null || before === names) return;
    for (const type of SEND_NODES) {
      const response = await api.fetchApi(`/object_info/${type}`);
      const options = (await response.json())[type]?.input?.required?.device;
      const labels = options?.[1]?.options ?? options?.[0];
      if (Array.isArray(labels)) offer(type, labels);
    }
  });
}

function offer(type, labels) {
  for (const node of app.graph.nodes.filter((each) => each.comfyClass === type)) {
    const widget = node.widgets?.find((each) => each.name === "device");
    if (widget) widget.options.values = labels;
  }
  app.graph.setDirtyCanvas(true, true);
}

function tellWhenDone(nodeType, summary) {
  const onExecuted = nodeType.prototype.onExecuted;
  nodeType.prototype.onExecuted = function (message) {
    onExecuted?.apply(this, arguments);
    const detail = message?.text?.[0];
    if (detail) app.extensionManager.toast.add({ severity: "success", summary, detail, life: 6000 });
  };
}

// The editor shares a node's free height evenly between its text and its picture. The text needs no half.
function leaveRoomForThePicture(nodeType) {
  const addCustomWidget = nodeType.prototype.addCustomWidget;
  nodeType.prototype.addCustomWidget = function (widget) {
    if (widget?.type === "progressText") widget.options.getMaxHeight = () => TEXT_HEIGHT;
    return addCustomWidget.apply(this, arguments);
  };
}
