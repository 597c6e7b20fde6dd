// The paired devices: who they are, what room they have, what they hold; rename, revoke, send.
import { kindWords } from "./ask_view.mjs";
import { desk } from "./desk.mjs";
import { button, element, icon, keepList, setText, text } from "./elements.mjs";
import { emptyState } from "./empty.mjs";
import { ago, bytes, counted } from "./words.mjs";

const NAME_LENGTH = 64;

export class DevicesView {
  constructor(panel) {
    this.panel = panel;
    this.list = element("ul", { className: "pv-list", attributes: { "aria-label": "Paired devices" } });
    this.empty = emptyState(
      "mobile",
      "No device is paired yet. Pair a phone once, then send it workflows that run there without a network.",
    );
    this.element = element("div", { className: "pv-view" }, [
      button("Pair a device", () => panel.open("pair"), { className: "pv-main pv-wide", symbol: "qrcode" }),
      this.empty,
      this.list,
    ]);
  }

  update() {
    this.empty.hidden = desk.devices.length > 0 || !desk.known;
    keepList(
      this.list,
      desk.devices,
      (device) => device.device_id,
      (device) => new DeviceCard(device, this.panel),
    );
  }
}

class DeviceCard {
  constructor(device, panel) {
    this.device = device;
    this.panel = panel;
    this.kind = icon(device.kind === "phone" ? "mobile" : "desktop");
    this.name = text("", "pv-name", "h4");
    this.presence = element("span", { className: "pv-presence" });
    this.dot = element("span", { className: "pv-dot", attributes: { "aria-hidden": "true" } });
    this.facts = element("dl", { className: "pv-facts" });
    this.holds = element("ul", { className: "pv-plain-list" });
    this.holdsWords = text("", "", "summary");
    this.more = element("details", { className: "pv-more" }, [this.holdsWords, this.holds]);
    this.head = element("div", { className: "pv-card-head" });
    this.foot = element("div", { className: "pv-row pv-actions" });
    this.element = element("li", { className: "pv-card" }, [
      this.head,
      element("p", { className: "pv-muted" }, [this.dot, this.presence]),
      this.facts,
      this.more,
      this.foot,
    ]);
    this.showHead();
    this.showFoot();
  }

  update(device) {
    this.device = device;
    setText(this.name, device.name);
    this.dot.classList.toggle("pv-on", device.connected);
    const seen = device.last_seen ? `Last seen ${ago(device.last_seen)}` : "Never seen since pairing";
    setText(this.presence, `${kindWords(device.kind)} \u00b7 ${device.connected ? "Connected" : seen}`);
    this.showFacts(factsOf(device));
    this.showHolds(device.bundles);
  }

  showFacts(facts) {
    const key = JSON.stringify(facts);
    if (key === this.factsKey) return;
    this.factsKey = key;
    this.facts.hidden = !facts.length;
    this.facts.replaceChildren(
      ...facts.flatMap(([label, value]) => [text(label, "", "dt"), text(value, "", "dd")]),
    );
  }

  showHolds(bundles) {
    const key = JSON.stringify(bundles);
    if (key === this.holdsKey) return;
    this.holdsKey = key;
    this.more.hidden = !bundles.length;
    setText(this.holdsWords, `Holds ${counted(bundles.length, "workflow")}`);
    this.holds.replaceChildren(
      ...bundles.map((bundle) =>
        element("li", { className: "pv-pair" }, [
          text(bundle.name, "pv-cut", "span"),
          text(bytes(bundle.bytes), "pv-muted", "span"),
        ]),
      ),
    );
  }

  showHead() {
    this.head.replaceChildren(
      this.kind,
      this.name,
      button("", () => this.rename(), { className: "pv-plain", symbol: "pencil", label: "Rename" }),
    );
  }

  showFoot() {
    this.foot.replaceChildren(
      button("Send a workflow", () => this.panel.open("send", { device: this.device.device_id }), {
        symbol: "send",
      }),
      button("Revoke", () => this.askToRevoke(), { className: "pv-plain pv-danger-words" }),
    );
  }

  rename() {
    const box = element("input", {
      className: "pv-input",
      value: this.device.name,
      maxLength: NAME_LENGTH,
      attributes: { "aria-label": "Name of the device" },
    });
    const done = () => {
      this.showHead();
      this.head.querySelector("button").focus();
    };
    const save = async () => {
      const name = box.value.trim();
      const same = !name || name === this.device.name;
      const body = { device_id: this.device.device_id, name };
      if (same || (await this.panel.attempt(() => desk.act("/rename", body)))) done();
    };
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter") save();
      if (event.key === "Escape") done();
    });
    this.head.replaceChildren(
      box,
      button("", save, { className: "pv-plain", symbol: "check", label: "Save the name" }),
      button("", done, { className: "pv-plain", symbol: "times", label: "Keep the old name" }),
    );
    box.select();
  }

  askToRevoke() {
    const keep = button("Keep", () => {
      this.showFoot();
      this.foot.lastChild.focus();
    });
    const revoke = async () => {
      const { device_id, name } = this.device;
      if (await this.panel.attempt(() => desk.act("/revoke", { device_id }))) {
        this.panel.say(`${name} is revoked.`);
      }
    };
    const question = text(
      `Revoke ${this.device.name}? It loses its access at once and has to pair again. What it holds stays there.`,
      "pv-wide",
    );
    this.foot.replaceChildren(question, button("Revoke", revoke, { className: "pv-danger" }), keep);
    keep.focus();
  }
}

function factsOf(device) {
  const facts = [];
  if (device.free_bytes !== null) {
    const all = device.total_bytes ? ` of ${bytes(device.total_bytes)}` : "";
    facts.push(["Free space", `${bytes(device.free_bytes)}${all}`]);
  }
  if (device.memory_bytes) facts.push(["Memory", bytes(device.memory_bytes)]);
  if (device.runtime) facts.push(["Runs with", device.runtime]);
  return facts;
}
