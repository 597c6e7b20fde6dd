// What a device that wants to pair asks, above every view: its name, and the six digits to compare (T5).
import { desk } from "./desk.mjs";
import { button, element, icon, keepList, text } from "./elements.mjs";
import { grouped } from "./words.mjs";

const KINDS = { phone: "Phone or browser", agent: "Computer" };

/** The words for a device's kind, which the device chose itself. */
export function kindWords(kind) {
  return KINDS[kind] ?? kind;
}

export class AskView {
  constructor(panel) {
    this.panel = panel;
    this.element = element("div", { className: "pv-asks", attributes: { "aria-live": "assertive" } });
  }

  update() {
    keepList(
      this.element,
      desk.pending,
      (device) => `${device.device_id} ${device.verification_code}`,
      (device) => ({ element: this.box(device), update() {} }),
    );
  }

  box(device) {
    return element("div", { className: "pv-card pv-ask", attributes: { role: "group", "aria-label": "Pairing request" } }, [
      element("p", { className: "pv-asker" }, [
        icon(device.kind === "phone" ? "mobile" : "desktop"),
        element("span", {}, [element("strong", { textContent: device.name }), " wants to pair."]),
      ]),
      text(`${kindWords(device.kind)} at ${device.remote_address}`, "pv-muted"),
      text("Confirm only if the device shows the same number:"),
      text(grouped(device.verification_code, 3), "pv-code"),
      element("div", { className: "pv-row" }, [
        button("Same number: confirm", () => this.decide("/confirm", device), { className: "pv-main" }),
        button("Refuse", () => this.decide("/refuse", device)),
      ]),
    ]);
  }

  async decide(path, device) {
    const confirmed = path === "/confirm";
    const worked = await this.panel.attempt(() => desk.decide(path, device));
    if (!worked) return;
    this.panel.open("devices");
    this.panel.say(`${device.name} ${confirmed ? "is paired." : "was refused."}`);
  }
}
