// PocketVideo in ComfyUI's menu: pair a device, see the paired ones, hear what a device made.
import { app } from "../../scripts/app.js";
import { openPairing } from "./pairing.mjs";

const PAIR = "PocketVideo.Pair";

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
