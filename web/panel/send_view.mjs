// Send this workflow: to which device and how, what that means (the plan), and only then the button.
import { api } from "../../../scripts/api.js";
import { call } from "./desk_api.mjs";
import { desk } from "./desk.mjs";
import { button, element, field, fillSelect, setText, text } from "./elements.mjs";
import { emptyState } from "./empty.mjs";
import { currentGraph, sendNode, widgetValue, workflowName } from "./graph.mjs";
import { planBox } from "./plan_box.mjs";

const PROMPTS = {
  editable: ["Can be changed on the device", "The device gets the text encoder, too."],
  fixed: ["Stay as they are", "The device gets the prompts encoded: less to send and to hold."],
};
const PRECISIONS = {
  lossless: ["Lossless", "16 bits wherever that loses nothing: the video is the same as here."],
  fp32: ["32 bits", "Weights as they are: the largest files."],
  fp16: ["16 bits", "Half of the size."],
  int8: ["8 bits", "About 30% of the size; the video differs a little."],
  int4: ["4 bits", "About 20% of the size; the same motion with other details."],
  auto: ["Automatic", "4 bits where they do little harm, more where they would."],
};
// A graph that is being edited changes many times a second.
const QUIET_MS = 700;

export class SendView {
  title = "Send this workflow";

  constructor(panel) {
    this.panel = panel;
    this.target = undefined;
    this.plan = null;
    this.turn = 0;
    this.device = select("pv-send-device", () => this.look());
    this.deviceNote = text("", "pv-help");
    this.prompts = select("pv-send-prompts", () => this.look(), PROMPTS);
    this.promptsNote = text("", "pv-help");
    this.precision = select("pv-send-precision", () => this.look(), PRECISIONS);
    this.precisionNote = text("", "pv-help");
    this.name = element("input", { id: "pv-send-name", className: "pv-input", maxLength: 64 });
    this.planned = element("div", { attributes: { "aria-live": "polite" } });
    this.go = button("Send", () => this.send(), { className: "pv-main pv-wide", symbol: "send" });
    this.form = element("form", { onsubmit: (event) => event.preventDefault() }, [
      field("Device", this.device, this.deviceNote),
      field("Prompts", this.prompts, this.promptsNote),
      field("Precision", this.precision, this.precisionNote),
      field("Name of this send", this.name),
      this.planned,
      element("div", { className: "pv-sticky" }, [this.go]),
    ]);
    this.empty = emptyState(
      "mobile",
      "There is no device to send to yet.",
      button("Pair a device", () => panel.open("pair"), { className: "pv-main", symbol: "qrcode" }),
    );
    this.element = element("div", { className: "pv-view" }, [this.empty, this.form]);
    api.addEventListener("graphChanged", () => this.graphChanged());
  }

  /** `target`: the id of the node to end in. `device`: the id of the device to send to. */
  show({ target, device } = {}) {
    this.target = target;
    const node = sendNode(target);
    this.showDevices(device ?? (node && deviceOf(widgetValue(node, "device"))));
    for (const [name, box] of [
      ["prompts", this.prompts],
      ["precision", this.precision],
    ]) {
      const value = node && widgetValue(node, name);
      if ([...box.options].some((option) => option.value === value)) box.value = value;
    }
    this.name.value = workflowName();
    this.look();
  }

  hide() {
    this.turn += 1;
    clearTimeout(this.timer);
  }

  update() {
    const none = desk.known && !desk.devices.length;
    this.empty.hidden = !none;
    this.form.hidden = none;
    const before = this.device.value;
    this.showDevices();
    if (this.device.value && this.device.value !== before) this.look();
  }

  showDevices(chosen = this.device.value) {
    const sorted = [...desk.devices].sort((a, b) => Number(b.connected) - Number(a.connected));
    fillSelect(
      this.device,
      sorted.map((device) => [device.device_id, device.name + (device.connected ? "" : " (away)")]),
      chosen,
    );
    const device = desk.device(this.device.value);
    setText(
      this.deviceNote,
      device && !device.connected ? "It is away: the files are sent as soon as it connects." : "",
    );
  }

  graphChanged() {
    clearTimeout(this.timer);
    if (this.element.hidden || !this.element.isConnected || !this.plan) return;
    this.timer = setTimeout(async () => {
      if (this.plan && (await currentGraph()).key !== this.plan.key) this.look();
    }, QUIET_MS);
  }

  async request() {
    const { prompt, workflow, key } = await currentGraph();
    const body = {
      prompt,
      workflow,
      device_id: this.device.value,
      prompts: this.prompts.value,
      precision: this.precision.value,
    };
    if (this.target !== undefined) body.target = this.target;
    return { body, key };
  }

  /** Ask the desk what a send would do. Only the newest answer counts. */
  async look() {
    setText(this.promptsNote, PROMPTS[this.prompts.value][1]);
    setText(this.precisionNote, PRECISIONS[this.precision.value][1]);
    this.plan = null;
    this.go.disabled = true;
    if (!this.device.value) return;
    this.turn += 1;
    const turn = this.turn;
    this.panel.say("");
    this.planned.replaceChildren(
      element("div", { className: "pv-card pv-muted" }, [text("Looking at the workflow...", "pv-busy")]),
    );
    try {
      const { body, key } = await this.request();
      const plan = await call("POST", "/sends/plan", body);
      if (turn !== this.turn) return;
      this.plan = { ...plan, key };
      this.name.placeholder = plan.name;
      this.planned.replaceChildren(planBox(plan, desk.device(body.device_id)));
      this.go.disabled = !plan.fits;
    } catch (error) {
      if (turn !== this.turn) return;
      this.planned.replaceChildren(refusal(error.message, () => this.look()));
    }
  }

  async send() {
    this.go.disabled = true;
    const worked = await this.panel.attempt(async () => {
      const { body, key } = await this.request();
      if (!this.plan || key !== this.plan.key) {
        this.look();
        throw new Error("The workflow changed meanwhile: look at the plan again, then send.");
      }
      const name = this.name.value.trim();
      await desk.act("/sends", name ? { ...body, name } : body);
    });
    if (worked) this.panel.open("sends");
    else this.go.disabled = !this.plan?.fits;
  }
}

function select(id, onchange, words = {}) {
  const made = element("select", { id, className: "pv-input", onchange });
  fillSelect(
    made,
    Object.entries(words).map(([value, [name]]) => [value, name]),
  );
  return made;
}

/** The id of the device that a node's list names, as "Kitchen tablet (1f0c)". */
function deviceOf(label) {
  const start = /\(([0-9a-f]{4})\)$/.exec(label ?? "")?.[1];
  return start && desk.devices.find((device) => device.device_id.startsWith(start))?.device_id;
}

function refusal(sentence, again) {
  return element("div", { className: "pv-card pv-problem", attributes: { role: "alert" } }, [
    text("This workflow cannot be sent", "pv-name", "h4"),
    text(sentence),
    button("Look again", again, { symbol: "refresh" }),
  ]);
}
