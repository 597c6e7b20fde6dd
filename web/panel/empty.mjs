// What a list shows while it is empty: a picture, a sentence, the next step.
import { element, icon, text } from "./elements.mjs";

export function emptyState(symbol, words, next = null) {
  return element("div", { className: "pv-empty" }, [icon(symbol), text(words), next]);
}
