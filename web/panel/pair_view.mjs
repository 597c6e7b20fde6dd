// Pairing: a code for the device's camera, one to type, and what to do, step by step.
import { call } from "./desk_api.mjs";
import { desk } from "./desk.mjs";
import { button, codePicture, copyable, element, field, fillSelect, setText, text } from "./elements.mjs";
import { duration, grouped } from "./words.mjs";

const AGENT = "python -m comfyui_pocketvideo.mobile_runtime.agent --home pocketvideo-device";

/** Whether only this computer reaches an address. */
export function isLoopback(address) {
  return address === "localhost" || address === "::1" || address.startsWith("127.");
}

/** What a list of addresses says of one. */
export function addressWords(address) {
  return isLoopback(address) ? `${address} (this computer only)` : address;
}

/** An address without its port; brackets of IPv6 go, too. */
function hostOf(address) {
  return address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
}

export class PairView {
  title = "Pair a device";

  constructor(panel) {
    this.panel = panel;
    this.shown = undefined;
    this.settings = { address: "", addresses: [], names: [] };
    this.address = element("select", {
      id: "pv-address",
      className: "pv-input",
      onchange: () => this.make(this.address.value),
    });
    this.note = text("", "pv-help");
    this.code = element("div", { className: "pv-offer" });
    this.left = text("", "pv-muted pv-center");
    this.element = element("div", { className: "pv-view" }, [
      element("div", { className: "pv-view pv-offering" }, [
        this.code,
        field("The device reaches this computer at", this.address, this.note),
      ]),
    ]);
  }

  show() {
    // Coming back to a code that is still good shows it again.
    if (!desk.offer && !desk.pending.length) this.make();
  }

  hide() {
    desk.endOffer();
  }

  async make(address = "") {
    this.code.replaceChildren(text("Making a code...", "pv-muted pv-center pv-busy"));
    const worked = await this.panel.attempt(async () => {
      this.settings = await call("GET", "/settings");
      if (!desk.known) await desk.refresh();
      await desk.pair(address || this.bestAddress());
    });
    if (!worked) this.draw();
    // The person may have gone elsewhere meanwhile: nothing shown, nothing open.
    if (this.element.hidden) await desk.endOffer();
  }

  update() {
    this.element.classList.toggle("pv-asked", desk.pending.length > 0);
    if (this.shown !== desk.offer) this.draw();
    if (!desk.offer) return;
    const seconds = Math.max(0, desk.offer.expires_at - Date.now() / 1000);
    setText(this.left, `For one device, for ${duration(seconds)} more`);
  }

  draw() {
    this.shown = desk.offer;
    this.fillAddresses();
    if (!desk.offer) {
      this.code.replaceChildren(
        button("Show a new code", () => this.make(this.address.value), { className: "pv-main pv-wide" }),
      );
      return;
    }
    const { uri, qr, code, address, fingerprint } = desk.offer;
    this.code.replaceChildren(
      codePicture(qr, "Pairing code for the device's camera"),
      this.left,
      element("ol", { className: "pv-steps" }, [
        text("Connect the device to the same network as this computer.", "", "li"),
        text("Point its camera at the code and open the link.", "", "li"),
        text("Its browser warns once, because this computer vouches for itself: go on.", "", "li"),
        text("Compare the six digits that both show, and confirm here.", "", "li"),
      ]),
      more("No camera?", [
        text("Open this address on the device and type the code:"),
        text(`https://${address}`, "pv-mono pv-break"),
        text(grouped(code, 4), "pv-code"),
        text("Or copy the link, which holds the code:"),
        copyable(uri, "Pairing link"),
      ]),
      more("Use it without this computer", [
        text("To install the app and run it offline, trust this computer's certificate: open this on the device."),
        text(`https://${address}/trust`, "pv-mono pv-break"),
        text("Install it only if its fingerprint is this one:"),
        text(fingerprintWords(fingerprint), "pv-mono pv-rows"),
      ]),
      more("Is the device a computer?", [
        text("Run this on it, with this pack and its device packages installed:"),
        copyable(`${AGENT} pair "${uri}"`, "Command for the device"),
      ]),
    );
  }

  fillAddresses() {
    const { addresses, names } = this.settings;
    const all = [...addresses, ...names];
    const offered = desk.offer?.address ?? "";
    const current = desk.offer
      ? all.find((each) => each === offered || each === hostOf(offered))
      : this.address.value || this.bestAddress();
    fillSelect(
      this.address,
      all.map((each) => [each, addressWords(each)]),
      current,
    );
    setText(
      this.note,
      isLoopback(this.address.value)
        ? "No phone reaches this address. Choose the one of your network, or use a USB cable."
        : "Choosing another address makes a new code.",
    );
  }

  /** The address that was chosen before; as long as none was, one that a phone can reach. */
  bestAddress() {
    const { address, addresses } = this.settings;
    if (addresses.includes(address) && (desk.devices.length || !isLoopback(address))) return address;
    return addresses.find((each) => !isLoopback(each)) ?? addresses[0] ?? "";
  }
}

/** A fingerprint as the trust page shows it: pairs of digits, eight in a row. */
function fingerprintWords(digits) {
  const pairs = digits.toUpperCase().match(/../g) ?? [];
  return pairs.map((pair, index) => pair + (index % 8 === 7 ? "\n" : ":")).join("").trim();
}

function more(summary, children) {
  return element("details", { className: "pv-more" }, [text(summary, "", "summary"), ...children]);
}
