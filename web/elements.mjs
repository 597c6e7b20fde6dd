// Small helpers to build DOM from text. No markup is ever parsed.

const STYLE_ID = "pocketvideo-style";
const STYLE = `
.pv-dialog { width: min(34rem, 92vw); max-height: 88vh; overflow: auto; padding: 1.25rem 1.5rem; border-radius: 12px;
  border: 1px solid var(--border-color, #555); background: var(--comfy-menu-bg, #222); color: var(--input-text, #ddd);
  font: 14px/1.45 Inter, system-ui, sans-serif; }
.pv-dialog::backdrop { background: rgb(0 0 0 / 55%); }
.pv-dialog header, .pv-row { display: flex; gap: .6rem; align-items: center; justify-content: space-between; }
.pv-dialog h2 { font-size: 1.2rem; margin: 0; }
.pv-dialog h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
.pv-dialog label { display: block; margin: 1rem 0 .3rem; }
.pv-dialog input, .pv-dialog select { flex: 1; min-width: 0; padding: .45rem .6rem; border-radius: 6px;
  border: 1px solid var(--border-color, #555); background: var(--comfy-input-bg, #333); color: inherit; }
.pv-dialog button { padding: .45rem .8rem; border-radius: 6px; border: 1px solid var(--border-color, #555); cursor: pointer;
  background: var(--comfy-input-bg, #333); color: inherit; white-space: nowrap; }
.pv-dialog button.pv-main { background: #2f6fde; border-color: #2f6fde; color: #fff; }
.pv-dialog :is(button, input, select):focus-visible { outline: 2px solid #7db0ff; outline-offset: 1px; }
.pv-box { margin: .9rem 0; padding: .8rem 1rem; border-radius: 8px; background: rgb(127 127 127 / 14%); }
.pv-box p { margin: .2rem 0 .5rem; }
.pv-ask { outline: 1px solid #2f6fde; }
.pv-code { font: 600 1.6rem/1.2 ui-monospace, monospace; letter-spacing: .08em; }
.pv-device { padding: .25rem 0; }
.pv-quiet { opacity: .7; }
.pv-status { min-height: 1.4em; margin: .6rem 0 0; }
`;

/** Put the dialog's style into the page, once. */
export function addStyle() {
  if (!document.getElementById(STYLE_ID)) {
    document.head.append(element("style", { id: STYLE_ID, textContent: STYLE }));
  }
}

/** An element with properties and children. */
export function element(name, properties = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** A button that does something. */
export function button(text, onclick, className = "") {
  return element("button", { type: "button", textContent: text, onclick, className });
}
