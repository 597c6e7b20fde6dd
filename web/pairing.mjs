// The pairing dialog. Everything that a device says about itself is shown as text, never as markup (T14),
// and nothing is stored in the browser: ComfyUI's origin belongs to every pack's scripts (T20).
import { call } from "./desk_api.mjs";
import { addStyle, button, element } from "./elements.mjs";

const LOOPBACK = "127.0.0.1";
const POLL_MS = 1000;
const AGENT = "python -m comfyui_pocketvideo.mobile_runtime.agent --home pocketvideo-device";

let open = null;

/** Show the dialog, or bring the open one to the front. */
export function openPairing() {
  open ??= new PairingDialog(() => (open = null));
  open.focus();
}

class PairingDialog {
  constructor(onClosed) {
    addStyle();
    this.offer = null;
    this.status = element("p", { className: "pv-status", role: "status" });
    this.address = element("select", { id: "pv-address" });
    this.offerBox = element("div", { className: "pv-box", hidden: true });
    this.pendingBox = element("div");
    this.deviceBox = element("div");
    this.dialog = element("dialog", { className: "pv-dialog", ariaLabel: "Pair a device" }, [
      element("header", {}, [
        element("h2", { textContent: "Pair a device" }),
        button("Close", () => this.dialog.close(), "pv-quiet"),
      ]),
      element("label", { htmlFor: "pv-address", textContent: "The device reaches this computer at" }),
      element("div", { className: "pv-row" }, [
        this.address,
        button("Show pairing code", () => this.pair(), "pv-main"),
      ]),
      this.offerBox,
      this.pendingBox,
      this.status,
      element("h3", { textContent: "Paired devices" }),
      this.deviceBox,
    ]);
    this.dialog.addEventListener("close", () => {
      clearInterval(this.timer);
      if (this.offer) call("POST", "/pair/cancel").catch(() => {});
      this.dialog.remove();
      onClosed();
    });
    // Typing in the dialog must not trigger the canvas' shortcuts.
    this.dialog.addEventListener("keydown", (event) => event.stopPropagation());
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.refreshDevices();
    this.timer = setInterval(() => this.poll(), POLL_MS);
  }

  focus() {
    this.dialog.focus();
  }

  async attempt(work) {
    try {
      this.status.textContent = "";
      return await work();
    } catch (error) {
      this.status.textContent = error.message;
      return null;
    }
  }

  pair() {
    return this.attempt(async () => {
      this.offer = await call("POST", "/pair", { address: this.address.value || LOOPBACK });
      const command = `${AGENT} pair "${this.offer.uri}"`;
      const digits = this.offer.code.replace(/(\d{4})(?=\d)/g, "$1 ");
      this.left = element("small");
      this.offerBox.replaceChildren(
        element("p", { textContent: "Run this on the device:" }),
        copyable(command),
        element("p", { textContent: `Or type this code on a device that asks for it, with ${this.offer.address}:` }),
        element("p", { className: "pv-code", textContent: digits }),
        this.left,
      );
      this.offerBox.hidden = false;
      await this.poll();
    });
  }

  async poll() {
    if (!this.offer) return;
    const seconds = Math.round(this.offer.expires_at - Date.now() / 1000);
    this.left.textContent = `Good for one device and ${Math.max(0, seconds)} more seconds.`;
    if (seconds <= 0) {
      this.endOffer("The code has expired; show a new one.");
      return;
    }
    try {
      const { pending } = await call("GET", "/pending");
      if (this.offer) this.showPending(pending);
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  showPending(pending) {
    const key = pending.map((device) => device.device_id).join();
    if (key === this.pendingKey) return;
    this.pendingKey = key;
    this.pendingBox.replaceChildren(
      ...pending.map((device) =>
        element("div", { className: "pv-box pv-ask" }, [
          element("p", { textContent: `${device.name} (${device.kind}, ${device.remote_address}) wants to pair.` }),
          element("p", { textContent: "Confirm only if the device shows this same number:" }),
          element("p", { className: "pv-code", textContent: device.verification_code.replace(/(\d{3})/, "$1 ") }),
          element("div", { className: "pv-row" }, [
            button("It is the same: confirm", () => this.decide("/confirm", device), "pv-main"),
            button("Refuse", () => this.decide("/refuse", device)),
          ]),
        ]),
      ),
    );
  }

  decide(path, device) {
    return this.attempt(async () => {
      await call("POST", path, { device_id: device.device_id });
      this.endOffer(path === "/confirm" ? `${device.name} is paired.` : `${device.name} was refused.`);
      await this.refreshDevices();
    });
  }

  endOffer(words) {
    this.offer = null;
    this.pendingKey = undefined;
    this.offerBox.hidden = true;
    this.pendingBox.replaceChildren();
    this.status.textContent = words;
  }

  async refreshDevices() {
    try {
      const { devices, addresses, address } = await call("GET", "/devices");
      if (!this.address.options.length) this.fillAddresses(addresses, address);
      this.showDevices(devices);
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  fillAddresses(addresses, current) {
    this.address.replaceChildren(
      ...addresses.map((address) =>
        element("option", {
          value: address,
          textContent: address === LOOPBACK ? `${address} (this computer only)` : address,
          selected: current.replace(/:\d+$/, "") === address,
        }),
      ),
    );
  }

  showDevices(devices) {
    if (!devices.length) {
      this.deviceBox.replaceChildren(element("p", { className: "pv-quiet", textContent: "None yet." }));
      return;
    }
    this.deviceBox.replaceChildren(
      ...devices.map((device) =>
        element("div", { className: "pv-row pv-device" }, [
          element("span", { textContent: `${device.name} (${device.connected ? "connected" : "away"})` }),
          button("Revoke", () =>
            this.attempt(async () => {
              await call("POST", "/revoke", { device_id: device.device_id });
              await this.refreshDevices();
            }),
          ),
        ]),
      ),
    );
  }
}

function copyable(text) {
  const field = element("input", { value: text, readOnly: true, onfocus: (event) => event.target.select() });
  const copy = button("Copy", async () => {
    field.select();
    // navigator.clipboard is missing where ComfyUI is opened by address over http.
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else document.execCommand("copy");
    copy.textContent = "Copied";
  });
  return element("div", { className: "pv-row" }, [field, copy]);
}
