// What a send would do, in words: the parts and their sizes, time, memory, and what stands in the way.
import { element, icon, text } from "./elements.mjs";
import { bytes, counted, duration } from "./words.mjs";

const KINDS = {
  text_encoder: "Text encoder",
  denoiser: "Video network",
  vae_encoder: "Picture encoder",
  vae_decoder: "Picture decoder",
};

/** The box for the answer of /sends/plan; `device` may be unknown. */
export function planBox(plan, device) {
  return element("div", { className: "pv-card", attributes: { role: "group", "aria-label": "Plan" } }, [
    text(`${plan.name} on ${plan.device_name}`, "pv-name", "h4"),
    ...plan.problems.map(problem),
    element(
      "ul",
      { className: "pv-plain-list", attributes: { "aria-label": "Parts" } },
      plan.components.map((part) => pair(partName(part), bytes(part.bytes), part.exported ? "check" : "")),
    ),
    element("dl", { className: "pv-facts" }, facts(plan, device).flatMap(fact)),
    plan.notes.length ? remarks(plan.notes) : null,
  ]);
}

function facts(plan, device) {
  const about = plan.exact ? "" : "about ";
  const held = plan.total_bytes - plan.send_bytes;
  const sent = plan.send_bytes ? `${about}${bytes(plan.send_bytes)}` : "nothing, it is all there";
  const found = [["To send", held > 0 && plan.send_bytes ? `${sent}; ${bytes(held)} are there already` : sent]];
  if (plan.seconds !== null) found.push(["Time", `about ${duration(plan.seconds)}`]);
  if (plan.memory_bytes) {
    const has = device?.memory_bytes ? ` of ${bytes(device.memory_bytes)}` : "";
    found.push(["Memory", `${bytes(plan.memory_bytes)}${has}`]);
  }
  if (plan.least_memory_bytes && plan.least_memory_bytes < plan.memory_bytes) {
    found.push(["At the least", `${bytes(plan.least_memory_bytes)}, streaming the weights`]);
  }
  const labels = plan.inputs.map((input) => input.label);
  found.push(["Can be changed", labels.length ? labels.join(", ") : "nothing"]);
  return found;
}

function fact([label, value]) {
  return [text(label, "", "dt"), text(value, "", "dd")];
}

function partName(part) {
  const kind = KINDS[part.kind] ?? part.kind;
  return part.name === part.kind ? kind : `${kind} (${part.name})`;
}

function pair(left, right, symbol) {
  const mark = symbol ? icon(symbol) : null;
  if (mark) mark.title = "Exported already";
  return element("li", { className: "pv-pair" }, [
    text(left, "pv-cut", "span"),
    element("span", { className: "pv-muted" }, [mark, mark ? " " : null, right]),
  ]);
}

function problem(sentence) {
  return element("p", { className: "pv-problem" }, [icon("exclamation-triangle"), text(sentence, "", "span")]);
}

/** What is good to know and stops nothing. */
function remarks(notes) {
  return element("details", { className: "pv-more" }, [
    text(counted(notes.length, "remark"), "", "summary"),
    ...notes.map((note) => text(note, "pv-help")),
  ]);
}
