// The sidebar tab: three lists (devices, sends, results), pages opened from them, and what a device asks.
import { app } from "../../../scripts/app.js";
import { AskView } from "./ask_view.mjs";
import { desk } from "./desk.mjs";
import { DevicesView } from "./devices_view.mjs";
import { button, element, setText, text } from "./elements.mjs";
import { PairView } from "./pair_view.mjs";
import { ResultsView } from "./results_view.mjs";
import { SendView } from "./send_view.mjs";
import { SendsView } from "./sends_view.mjs";
import { SettingsView } from "./settings_view.mjs";

export const TAB = "pocketvideo";
const STYLE = "pocketvideo-style";
const LISTS = [
  ["devices", "Devices", DevicesView],
  ["sends", "Sends", SendsView],
  ["results", "Results", ResultsView],
];
// Pages, and the list that each goes back to.
const PAGES = [
  ["pair", "devices", PairView],
  ["send", "sends", SendView],
  ["settings", "devices", SettingsView],
];

let panel = null;
let asked = null;

/** Open a list or a page of the sidebar tab, wherever the person is. */
export function openPanel(name, options = {}) {
  asked = [name, options];
  if (app.extensionManager.sidebarTab.activeSidebarTabId !== TAB) {
    app.extensionManager.sidebarTab.activeSidebarTabId = TAB;
  }
  if (panel?.element.isConnected) panel.openAsked();
}

/** Put the panel into the sidebar. The frontend calls this whenever it draws the tab anew. */
export function mountPanel(place) {
  addStyle();
  panel ??= new Panel();
  panel.mount(place);
}

/** The sidebar tab was closed. What the person typed and which page was open stays. */
export function unmountPanel() {
  panel?.leave();
}

function addStyle() {
  if (document.getElementById(STYLE)) return;
  const href = new URL("../pocketvideo.css", import.meta.url).href;
  document.head.append(element("link", { id: STYLE, rel: "stylesheet", href }));
}

class Panel {
  constructor() {
    this.unwatch = null;
    this.current = null;
    this.views = new Map();
    this.tabs = new Map();
    this.status = text("", "pv-status");
    this.status.setAttribute("role", "status");
    this.ask = new AskView(this);
    this.bridge = element("span", { className: "pv-bridge-words" });
    this.dot = element("span", { className: "pv-dot", attributes: { "aria-hidden": "true" } });
    this.tabList = element("div", {
      className: "pv-tabs",
      attributes: { role: "tablist", "aria-label": "PocketVideo" },
    });
    this.body = element("div", { className: "pv-body" });
    for (const [name, title, View] of LISTS) this.addList(name, title, new View(this));
    for (const [name, parent, View] of PAGES) this.addPage(name, parent, new View(this));
    this.element = element(
      "section",
      { className: "pv-panel", attributes: { "aria-label": "PocketVideo" } },
      [
        element("header", { className: "pv-head" }, [
          text("PocketVideo", "pv-title", "h2"),
          button("", () => this.open("settings"), {
            className: "pv-plain",
            symbol: "cog",
            label: "Bridge settings",
          }),
        ]),
        this.tabList,
        this.ask.element,
        this.body,
        this.status,
        element("footer", { className: "pv-foot" }, [this.dot, this.bridge]),
      ],
    );
    this.tabList.addEventListener("keydown", (event) => this.moveAmongTabs(event));
    desk.addEventListener("change", () => this.update());
    desk.addEventListener("expired", () => this.say("The code has expired: show a new one."));
    this.open("devices");
  }

  mount(place) {
    if (this.element.parentElement !== place) {
      place.classList.add("pv-place");
      place.replaceChildren(this.element);
    }
    this.unwatch ??= desk.watch();
    // The sidebar puts the place into the page after this call, and nothing outside of it takes the focus.
    requestAnimationFrame(() => this.openAsked());
  }

  leave() {
    this.unwatch?.();
    this.unwatch = null;
  }

  openAsked() {
    if (asked) this.open(...asked);
    asked = null;
  }

  addList(name, title, view) {
    const count = element("span", { className: "pv-count" });
    const tab = element(
      "button",
      {
        type: "button",
        id: `pv-tab-${name}`,
        className: "pv-tab",
        onclick: () => this.open(name),
        attributes: { role: "tab", "aria-controls": `pv-view-${name}` },
      },
      [text(title, "", "span"), count],
    );
    view.element.setAttribute("role", "tabpanel");
    view.element.setAttribute("aria-labelledby", tab.id);
    this.tabList.append(tab);
    this.tabs.set(name, { tab, count });
    this.addView(name, view);
  }

  addPage(name, parent, view) {
    const back = button("", () => this.open(parent), {
      className: "pv-plain",
      symbol: "arrow-left",
      label: `Back to ${parent}`,
    });
    const heading = text(view.title, "pv-heading", "h3");
    heading.id = `pv-heading-${name}`;
    heading.tabIndex = -1;
    view.element.prepend(element("div", { className: "pv-page-head" }, [back, heading]));
    view.element.setAttribute("role", "region");
    view.element.setAttribute("aria-labelledby", heading.id);
    view.heading = heading;
    view.parent = parent;
    this.addView(name, view);
  }

  addView(name, view) {
    view.element.id = `pv-view-${name}`;
    view.element.hidden = true;
    this.views.set(name, view);
    this.body.append(view.element);
  }

  /** Show a list or a page. Opening the page that is open again does nothing but take its options. */
  open(name, options = {}) {
    const view = this.views.get(name);
    if (this.current !== view) {
      this.current?.hide?.();
      if (this.current) this.current.element.hidden = true;
      this.current = view;
      view.element.hidden = false;
      this.body.scrollTop = 0;
      this.say("");
    }
    for (const [list, { tab }] of this.tabs) {
      const chosen = list === (view.parent ?? name);
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
    }
    view.show?.(options);
    this.update();
    view.heading?.focus({ preventScroll: true });
  }

  /** Say something below the view, aloud to screen readers. */
  say(words, isTrouble = false) {
    setText(this.status, words);
    this.status.classList.toggle("pv-trouble", isTrouble);
  }

  /** Do something that may fail; its sentence is shown. Returns whether it worked. */
  async attempt(work) {
    this.say("");
    try {
      await work();
      return true;
    } catch (error) {
      this.say(error.message, true);
      return false;
    }
  }

  update() {
    const counts = {
      devices: desk.devices.length,
      sends: desk.sends.length,
      results: desk.results.length,
    };
    for (const [name, { count }] of this.tabs) {
      count.hidden = !counts[name];
      setText(count, String(counts[name]));
    }
    this.dot.classList.toggle("pv-on", desk.running);
    setText(this.bridge, bridgeWords());
    this.ask.update();
    this.current?.update?.();
  }

  moveAmongTabs(event) {
    const names = [...this.tabs.keys()];
    const now = names.findIndex((name) => this.tabs.get(name).tab === document.activeElement);
    const next = {
      ArrowRight: (now + 1) % names.length,
      ArrowLeft: (now + names.length - 1) % names.length,
      Home: 0,
      End: names.length - 1,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    this.open(names[next]);
    this.tabs.get(names[next]).tab.focus();
  }
}

function bridgeWords() {
  if (desk.trouble) return desk.trouble;
  if (!desk.known) return "Asking ComfyUI...";
  return desk.running ? `Bridge on at ${desk.address}` : "Bridge off: no device can reach this computer";
}
