// PocketVideo in ComfyUI's page: a sidebar tab, its commands and menu entries, and what the pack's nodes show.
import { app } from "../../scripts/app.js";
import { desk } from "./panel/desk.mjs";
import { canvasMenu, keepDeviceLists, nodeMenu, prepareNode } from "./panel/nodes.mjs";
import { TAB, mountPanel, openPanel, unmountPanel } from "./panel/panel.mjs";

const OPEN = "PocketVideo.Open";
const PAIR = "PocketVideo.Pair";
const SEND = "PocketVideo.Send";

app.registerExtension({
  name: "pocketvideo",
  commands: [
    { id: OPEN, label: "PocketVideo: Devices", icon: "pi pi-mobile", function: () => openPanel("devices") },
    { id: PAIR, label: "PocketVideo: Pair a device", icon: "pi pi-qrcode", function: () => openPanel("pair") },
    { id: SEND, label: "PocketVideo: Send this workflow", icon: "pi pi-send", function: () => openPanel("send") },
  ],
  menuCommands: [{ path: ["Extensions", "PocketVideo"], commands: [OPEN, PAIR, SEND] }],

  beforeRegisterNodeDef: prepareNode,
  getNodeMenuItems: nodeMenu,
  getCanvasMenuItems: canvasMenu,

  setup() {
    app.extensionManager.registerSidebarTab({
      id: TAB,
      icon: "pi pi-mobile",
      title: "PocketVideo",
      // The sidebar breaks longer words.
      label: "Pocket",
      tooltip: "PocketVideo: pair phones and send them workflows",
      type: "custom",
      render: mountPanel,
      destroy: unmountPanel,
    });
    keepDeviceLists();
    desk.addEventListener("asked", ({ detail: device }) => {
      if (app.extensionManager.sidebarTab.activeSidebarTabId === TAB) return;
      tell("info", "A device wants to pair", `${device.name}: open PocketVideo in the sidebar and compare.`);
    });
    desk.addEventListener("finished", ({ detail: send }) => {
      if (send.state === "done") tell("success", "Ready on the device", `${send.name} runs on ${send.device_name}.`);
      else tell("error", `${send.name} was not sent`, send.error ?? "See ComfyUI's log.");
    });
  },
});

function tell(severity, summary, detail) {
  app.extensionManager.toast.add({ severity, summary, detail, life: 8000 });
}
