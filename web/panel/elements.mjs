// Small helpers to build DOM from text. No markup is ever parsed (T14).

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties, attributes (under `attributes`) and children; null children are left out. */
export function element(name, { attributes = {}, ...properties } = {}, children = []) {
  const made = Object.assign(document.createElement(name), properties);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A line of text. */
export function text(words, className = "", name = "p") {
  return element(name, { className, textContent: words });
}

/** One of PrimeVue's icons, which ComfyUI's page has; it says nothing to a screen reader. */
export function icon(name) {
  return element("i", { className: `pi pi-${name}`, attributes: { "aria-hidden": "true" } });
}

/** A button that does something; `label` is what a screen reader says where the words are not enough. */
export function button(words, onclick, { className = "", symbol = "", label = "" } = {}) {
  const made = element("button", { type: "button", className: `pv-button ${className}`.trim(), onclick }, [
    symbol ? icon(symbol) : null,
    words ? text(words, "", "span") : null,
  ]);
  if (label) made.setAttribute("aria-label", label);
  if (label && !words) made.title = label;
  return made;
}

/** A labelled input or select with an optional line of help below it. */
export function field(label, control, help = null) {
  const note = typeof help === "string" ? text(help, "pv-help") : help;
  if (note) {
    note.id ||= `${control.id}-help`;
    control.setAttribute("aria-describedby", note.id);
  }
  return element("div", { className: "pv-field" }, [
    element("label", { htmlFor: control.id, textContent: label }),
    control,
    note,
  ]);
}

/** A list to choose from; `options` are [value, words]. The chosen value stays if it is still there. */
export function fillSelect(select, options, chosen = select.value) {
  const same = [...select.options].map((option) => [option.value, option.textContent]);
  if (JSON.stringify(same) !== JSON.stringify(options)) {
    select.replaceChildren(
      ...options.map(([value, words]) => element("option", { value, textContent: words })),
    );
  }
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

/**
 * A square code that a camera reads: `path` is one SVG path in a square of `size` units, quiet zone included.
 * Black on white in every theme: cameras expect that.
 */
export function codePicture({ size, path }, label) {
  const picture = svg("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label, class: "pv-qr" });
  picture.append(
    svg("rect", { width: size, height: size, fill: "#fff" }),
    svg("path", { d: path, fill: "#000", "shape-rendering": "crispEdges" }),
  );
  return picture;
}

function svg(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A text to copy, with its button. */
export function copyable(words, label) {
  const box = element("input", {
    value: words,
    readOnly: true,
    className: "pv-input pv-mono",
    onfocus: (event) => event.target.select(),
    attributes: { "aria-label": label },
  });
  const copy = button("Copy", async () => {
    box.select();
    // navigator.clipboard is missing where ComfyUI is opened by address over http.
    if (navigator.clipboard) await navigator.clipboard.writeText(words);
    else document.execCommand("copy");
    copy.lastChild.textContent = "Copied";
  });
  return element("div", { className: "pv-row pv-copy" }, [box, copy]);
}

/**
 * Show `items` in `box`, one child for each. A child is kept while its item's key is there, so that what a
 * person types or has focused survives news.
 *
 * `make(item)` returns {element, update(item)}.
 */
export function keepList(box, items, keyOf, make) {
  box.pvRows ??= new Map();
  const rows = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const row = box.pvRows.get(key) ?? make(item);
    row.update(item);
    rows.set(key, row);
  }
  for (const [key, row] of box.pvRows) if (rows.get(key) !== row) row.element.remove();
  [...rows.values()].forEach((row, index) => {
    if (box.children[index] !== row.element) box.insertBefore(row.element, box.children[index] ?? null);
  });
  box.pvRows = rows;
}

/** Set a text only where it differs, so that screen readers do not say it again. */
export function setText(target, words) {
  if (target.textContent !== words) target.textContent = words;
}
