// What the desk knows, for every view: devices, sends, results, the open pairing offer. It lives as long as the
// page, not in the browser's storage (T20): a reloaded page asks ComfyUI again.
import { api } from "../../../scripts/api.js";
import { call } from "./desk_api.mjs";

const TICK_MS = 1000;
// ComfyUI tells what changed. These, in ticks, are for what it missed to tell.
const EVERY = { pending: 3, sends: 2, devices: 5, results: 20 };

/** The states in which a send still has something to do. */
export const ACTIVE = ["queued", "planning", "exporting", "waiting", "transferring", "testing"];

/**
 * Dispatches `change` after all news, `finished` (detail: the send) when one ends while the page is open,
 * `asked` (detail: the device) when one wants to pair, and `expired` when the offer's time is over.
 */
class Desk extends EventTarget {
  constructor() {
    super();
    this.devices = [];
    this.sends = [];
    this.results = [];
    this.pending = [];
    this.offer = null;
    this.address = "";
    this.addresses = [];
    this.running = false;
    this.known = false;
    this.trouble = "";
    this.watchers = 0;
    this.ticks = 0;
    this.timer = null;
    this.busy = false;
    for (const name of ["devices", "sends", "results"]) {
      api.addEventListener(`pocketvideo.${name}`, (event) => {
        this[`take_${name}`](event.detail);
        this.changed();
      });
    }
    api.addEventListener("reconnected", () => this.watchers && this.refresh());
  }

  /** Keep the news coming; the returned function ends that. */
  watch() {
    this.watchers += 1;
    this.refresh();
    this.keepTime();
    return () => {
      this.watchers -= 1;
    };
  }

  /** Ask ComfyUI again. Never throws: `trouble` holds the sentence. */
  async refresh(names = ["devices", "sends", "results", "pending"]) {
    try {
      await Promise.all(
        names.map(async (name) => this[`take_${name}`](await call("GET", `/${name}`))),
      );
      this.trouble = "";
    } catch (error) {
      this.trouble = error.message;
    }
    this.changed();
  }

  /** Do something on the desk, and know what came of it. */
  async act(path, body = {}) {
    const answer = await call("POST", path, body);
    await this.refresh();
    return answer;
  }

  /** Make a new pairing offer on an address, or on the one used last. */
  async pair(address) {
    this.offer = await call("POST", "/pair", address ? { address } : {});
    this.keepTime();
    await this.refresh(["devices", "pending"]);
  }

  /** Take the offer back, unless a device answered it already. */
  async endOffer() {
    if (!this.offer) return;
    this.offer = null;
    this.changed();
    if (!this.pending.length) await call("POST", "/pair/cancel").catch(() => {});
  }

  /** Confirm or refuse a device that asks: `path` is `/confirm` or `/refuse`. Either uses the offer up. */
  async decide(path, device) {
    await call("POST", path, { device_id: device.device_id });
    this.offer = null;
    this.pending = this.pending.filter((other) => other.device_id !== device.device_id);
    await this.refresh(["devices"]);
  }

  /** A paired device by its id, or undefined. */
  device(id) {
    return this.devices.find((device) => device.device_id === id);
  }

  take_devices(answer) {
    this.devices = answer.devices;
    this.address = answer.address;
    this.addresses = answer.addresses;
    this.running = answer.running;
    this.known = true;
    if (answer.pending && !this.pending.length) this.refresh(["pending"]);
  }

  take_pending({ pending }) {
    const before = this.pending.map((device) => device.device_id);
    this.pending = pending;
    if (pending.length) this.keepTime();
    for (const device of pending) {
      if (!before.includes(device.device_id)) this.tell("asked", device);
    }
  }

  take_results({ results }) {
    this.results = results;
  }

  take_sends({ sends }) {
    const before = new Map(this.sends.map((send) => [send.send_id, send.state]));
    this.sends = sends;
    for (const send of sends) {
      const ended = ["done", "failed"].includes(send.state);
      if (ended && ACTIVE.includes(before.get(send.send_id))) this.tell("finished", send);
    }
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  keepTime() {
    this.timer ??= setInterval(() => this.tick(), TICK_MS);
  }

  async tick() {
    if (!this.watchers && !this.offer && !this.pending.length) {
      clearInterval(this.timer);
      this.timer = null;
      return;
    }
    if (this.offer && this.offer.expires_at * 1000 < Date.now() && !this.pending.length) {
      this.offer = null;
      this.tell("expired");
    }
    // One round at a time: a slow answer must not pile up more questions.
    if (this.busy) return;
    this.busy = true;
    try {
      await this.refresh(this.due());
    } finally {
      this.busy = false;
    }
  }

  due() {
    this.ticks += 1;
    const due = (name) => this.ticks % EVERY[name] === 0;
    const asked = this.offer || this.pending.length > 0;
    const active = this.sends.some((send) => ACTIVE.includes(send.state));
    return [
      asked || (this.running && due("pending")) ? "pending" : null,
      this.watchers && due("devices") ? "devices" : null,
      this.watchers && due("results") ? "results" : null,
      this.watchers && active && due("sends") ? "sends" : null,
    ].filter(Boolean);
  }
}

export const desk = new Desk();
