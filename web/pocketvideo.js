// PocketVideo in ComfyUI's menu: pair a device, see the paired ones, hear what a device made.
import { app } from "../../scripts/app.js";
import { openPairing } from "./pairing.mjs";

const PAIR = "PocketVideo.Pair";
// Nodes that show a line of text above a picture, and the pixels that two lines take.
const TEXT_AND_PICTURE = ["PocketVideoLeapReport", "PocketVideoCompareVideos"];
const TEXT_HEIGHT = 58;

app.registerExtension({
  name: "pocketvideo",
  commands: [
    {
      id: PAIR,
      label: "PocketVideo: Pair a device",
      icon: "pi pi-mobile",
      function: () => openPairing(),
    },
  ],
  menuCommands: [{ path: ["Extensions", "PocketVideo"], commands: [PAIR] }],

  beforeRegisterNodeDef(nodeType, nodeData) {
    if (TEXT_AND_PICTURE.includes(nodeData.name)) leaveRoomForThePicture(nodeType);
    if (nodeData.name !== "PocketVideoSendToDevice") return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (message) {
      onExecuted?.apply(this, arguments);
      const detail = message?.text?.[0];
      if (detail) {
        app.extensionManager.toast.add({ severity: "success", summary: "Send to Device", detail, life: 6000 });
      }
    };
  },
});

// The editor shares a node's free height evenly between its text and its picture. The text needs no half.
function leaveRoomForThePicture(nodeType) {
  const addCustomWidget = nodeType.prototype.addCustomWidget;
  nodeType.prototype.addCustomWidget = function (widget) {
    if (widget?.type === "progressText") widget.options.getMaxHeight = () => TEXT_HEIGHT;
    return addCustomWidget.apply(this, arguments);
  };
}
