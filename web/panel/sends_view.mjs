// The sends: where each stands, cancel, retry. They live in ComfyUI, so that closing the page loses nothing.
import { ACTIVE, desk } from "./desk.mjs";
import { button, element, keepList, setText, text } from "./elements.mjs";
import { emptyState } from "./empty.mjs";
import { ago, bytes, duration } from "./words.mjs";

const STEPS = ["Compile", "Export", "Transfer", "Test"];
const STEP_OF = { queued: 0, planning: 0, exporting: 1, waiting: 2, transferring: 2, testing: 3, done: 4 };
const TITLES = {
  queued: "Waiting for another send",
  planning: "Compiling the workflow",
  exporting: "Exporting the networks",
  transferring: "Sending",
  testing: "The device tests itself",
  done: "Ready on the device",
  failed: "Failed",
  cancelled: "Cancelled",
  interrupted: "Interrupted: ComfyUI ended meanwhile",
};
const MEANING =
  "How closely the device's outputs match this computer's, at the worst part of the workflow. " +
  "From about 40 dB on nobody sees a difference.";
const AGAIN = ["failed", "cancelled", "interrupted"];

export class SendsView {
  constructor(panel) {
    this.panel = panel;
    this.list = element("ul", { className: "pv-list", attributes: { "aria-label": "Sends" } });
    this.empty = emptyState(
      "send",
      "Nothing was sent yet. Open a workflow, look at what sending it means, and send it to a device.",
    );
    this.clear = button("Clear what is over", () => panel.attempt(() => desk.act("/sends/clear")), {
      className: "pv-plain",
    });
    this.element = element("div", { className: "pv-view" }, [
      button("Send this workflow", () => panel.open("send"), { className: "pv-main pv-wide", symbol: "send" }),
      this.empty,
      this.list,
      this.clear,
    ]);
  }

  update() {
    this.empty.hidden = desk.sends.length > 0 || !desk.known;
    this.clear.hidden = desk.sends.filter((send) => !ACTIVE.includes(send.state)).length < 2;
    keepList(
      this.list,
      desk.sends,
      (send) => send.send_id,
      (send) => new SendCard(send, this.panel),
    );
  }
}

class SendCard {
  constructor(send, panel) {
    this.id = send.send_id;
    this.panel = panel;
    this.name = text("", "pv-name pv-cut", "h4");
    this.where = text("", "pv-muted");
    this.state = element("p", { className: "pv-state" });
    this.detail = text("", "pv-muted");
    this.tested = element("p", { className: "pv-muted pv-explained", title: MEANING });
    this.fill = element("div", { className: "pv-fill" });
    this.bar = element("div", { className: "pv-bar", attributes: { role: "progressbar" } }, [this.fill]);
    this.bar.setAttribute("aria-valuemin", "0");
    this.bar.setAttribute("aria-valuemax", "100");
    this.steps = element(
      "ol",
      { className: "pv-progress" },
      STEPS.map((step) => text(step, "", "li")),
    );
    this.actions = element("div", { className: "pv-row pv-actions" });
    this.element = element("li", { className: "pv-card pv-send" }, [
      this.name,
      this.where,
      this.bar,
      this.steps,
      this.state,
      this.detail,
      this.tested,
      this.actions,
    ]);
  }

  update(send) {
    const active = ACTIVE.includes(send.state);
    setText(this.name, send.name);
    setText(this.where, `To ${send.device_name} \u00b7 ${ago(send.created_at)}`);
    setText(this.state, titleOf(send));
    setText(this.detail, detailOf(send));
    this.detail.hidden = !this.detail.textContent;
    setText(this.tested, testedOf(send));
    this.tested.hidden = !this.tested.textContent;
    this.element.dataset.state = send.state;
    this.bar.hidden = this.steps.hidden = !active;
    const percent = Math.round(100 * (send.fraction ?? 0));
    this.fill.style.width = `${percent}%`;
    this.bar.setAttribute("aria-valuenow", String(percent));
    this.bar.setAttribute("aria-label", `${send.name}: ${titleOf(send)}`);
    this.showStep(STEP_OF[send.state] ?? 0);
    this.showActions(send.state, active);
  }

  showStep(now) {
    [...this.steps.children].forEach((step, index) => {
      step.className = index < now ? "pv-past" : index === now ? "pv-now" : "";
      if (index === now) step.setAttribute("aria-current", "step");
      else step.removeAttribute("aria-current");
    });
  }

  showActions(state, active) {
    if (state === this.actionsFor) return;
    this.actionsFor = state;
    const had = this.actions.contains(document.activeElement);
    const act = (path) => () => this.panel.attempt(() => desk.act(path, { send_id: this.id }));
    const retry = button("Retry", act("/sends/retry"), { symbol: "refresh" });
    const remove = button("Remove", act("/sends/clear"), { className: "pv-plain" });
    const cancel = button("Cancel", act("/sends/cancel"));
    this.actions.replaceChildren(
      ...(active ? [cancel] : AGAIN.includes(state) ? [retry, remove] : [remove]),
    );
    if (had) this.actions.firstChild.focus();
  }
}

function titleOf(send) {
  return send.state === "waiting" ? `Waiting for ${send.device_name}` : (TITLES[send.state] ?? send.state);
}

function testedOf({ state, self_test: tested }) {
  if (state !== "done" || !tested) return "";
  return `Self-test ${tested.psnr === null ? "exact" : `${tested.psnr.toFixed(0)} dB`}`;
}

function detailOf(send) {
  if (send.state === "failed") return send.error ?? "";
  if (send.state === "done") return "It runs there without this computer.";
  if (send.state === "interrupted") return "Retry goes on where it stopped.";
  if (send.state === "cancelled") return "";
  if (send.state === "waiting") return "It goes on by itself as soon as the device is there and free.";
  const parts = [];
  if (send.state === "transferring" && send.total_bytes) {
    parts.push(`${bytes(send.bytes_sent)} of ${bytes(send.total_bytes)}`);
  } else if (send.message) {
    parts.push(send.message);
  }
  if (send.seconds_left !== null) parts.push(`about ${duration(send.seconds_left)} left`);
  return parts.join(" \u00b7 ");
}
