// The bridge: where devices reach this computer, by which port and names, and how to turn it off.
import { call } from "./desk_api.mjs";
import { desk } from "./desk.mjs";
import { button, element, field, fillSelect, setText, text } from "./elements.mjs";
import { addressWords } from "./pair_view.mjs";

export class SettingsView {
  title = "Bridge settings";

  constructor(panel) {
    this.panel = panel;
    this.state = text("");
    this.power = button("", () => this.turn());
    this.address = element("select", { id: "pv-set-address", className: "pv-input" });
    this.port = element("input", {
      id: "pv-set-port",
      className: "pv-input",
      type: "number",
      min: "0",
      max: "65535",
      inputMode: "numeric",
      placeholder: "any",
    });
    this.names = element("input", {
      id: "pv-set-names",
      className: "pv-input",
      placeholder: "studio.local",
      spellcheck: false,
    });
    this.form = element("form", { onsubmit: (event) => this.save(event) }, [
      field("Address of this computer", this.address, "Only this one is opened, never all of them."),
      field("Port", this.port, "Empty: the one of last time, or any free one. Devices remember it."),
      field("Further names", this.names, "Names by which devices reach this computer, with commas between."),
      element("button", { type: "submit", className: "pv-button pv-main pv-wide", textContent: "Save" }),
    ]);
    this.element = element("div", { className: "pv-view" }, [
      element("div", { className: "pv-card" }, [this.state, this.power]),
      this.form,
    ]);
  }

  async show() {
    await this.panel.attempt(async () => this.fill(await call("GET", "/settings")));
  }

  fill({ address, addresses, port, names }) {
    const known = addresses.includes(address) ? addresses : [address, ...addresses];
    fillSelect(
      this.address,
      known.map((item) => [item, addressWords(item)]),
      address,
    );
    this.port.value = port || "";
    this.names.value = names.join(", ");
  }

  update() {
    setText(
      this.state,
      desk.running
        ? `The bridge is on: paired devices reach this computer at ${desk.address}.`
        : "The bridge is off: no device can reach this computer. Pairing or sending turns it on.",
    );
    setText(this.power.lastChild ?? this.power, desk.running ? "Turn it off" : "Turn it on");
  }

  turn() {
    const [path, words] = desk.running ? ["/bridge/stop", "The bridge is off."] : ["/bridge/start", "The bridge is on."];
    return this.panel.attempt(async () => {
      await desk.act(path);
      this.panel.say(words);
    });
  }

  save(event) {
    event.preventDefault();
    const body = {
      address: this.address.value,
      port: Number(this.port.value) || 0,
      names: this.names.value
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean),
    };
    return this.panel.attempt(async () => {
      this.fill(await desk.act("/settings", body));
      this.panel.say("Saved.");
    });
  }
}
