// What devices sent back: the video, what it was made from, and the workflow that it carries.
import { api } from "../../../scripts/api.js";
import { desk } from "./desk.mjs";
import { button, element, keepList, text } from "./elements.mjs";
import { emptyState } from "./empty.mjs";
import { openWorkflowOf } from "./graph.mjs";
import { ago, duration } from "./words.mjs";

export class ResultsView {
  constructor(panel) {
    this.panel = panel;
    this.list = element("ul", { className: "pv-list", attributes: { "aria-label": "Results" } });
    this.empty = emptyState(
      "video",
      "Nothing came back yet. Make a video on a device and choose Send to desk there: it lands here and in " +
        "ComfyUI's output folder, with its workflow.",
    );
    this.element = element("div", { className: "pv-view" }, [this.empty, this.list]);
  }

  update() {
    this.empty.hidden = desk.results.length > 0 || !desk.known;
    keepList(this.list, desk.results, keyOf, (result) => new ResultCard(result, this.panel));
  }
}

class ResultCard {
  constructor(result, panel) {
    const { file, name, device_name: device, values } = result;
    const address = addressOf(file);
    this.when = text("", "pv-muted");
    this.element = element("li", { className: "pv-card pv-result" }, [
      picture(file, address, name),
      text(name, "pv-name", "h4"),
      this.when,
      valuesBox(values, name),
      element("div", { className: "pv-row pv-actions" }, [
        button("Open workflow", () => panel.attempt(() => openWorkflowOf(file, address)), { symbol: "folder-open" }),
        element("a", { className: "pv-button pv-plain", href: address, download: file.filename }, [
          text("Save as...", "", "span"),
        ]),
      ]),
    ]);
    this.device = device;
  }

  update({ created_at: created, seconds }) {
    const took = seconds ? ` \u00b7 made in ${duration(seconds)}` : "";
    this.when.textContent = `From ${this.device} \u00b7 ${ago(created)}${took}`;
  }
}

function picture(file, address, name) {
  const isPicture = /\.(webp|png|gif)$/i.test(file.filename);
  if (isPicture) return element("img", { src: address, alt: name, className: "pv-media", loading: "lazy" });
  return element("video", {
    src: address,
    className: "pv-media",
    controls: true,
    loop: true,
    muted: true,
    playsInline: true,
    preload: "metadata",
    attributes: { "aria-label": name },
  });
}

/** What it was made with; the prompt is left out where it is the result's name already. */
function valuesBox(values, name) {
  const told = Object.entries(values).filter(([, value]) => value !== name && value !== "");
  const rows = told.flatMap(([key, value]) => [text(labelOf(key), "", "dt"), text(String(value), "", "dd")]);
  return rows.length ? element("dl", { className: "pv-facts" }, rows) : null;
}

/** "negative_prompt" -> "Negative prompt". */
function labelOf(key) {
  const words = key.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function addressOf({ filename, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
}

function keyOf({ file }) {
  return `${file.type}/${file.subfolder}/${file.filename}`;
}
