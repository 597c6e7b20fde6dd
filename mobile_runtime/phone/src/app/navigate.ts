/** Which screen is shown, kept in the browser's history so that the phone's back gesture works. */

import { type Route, route } from "./state";

function read(state: unknown): Route {
  const kept = (state as { route?: Route } | null)?.route;
  return kept ?? { page: "library" };
}

/** Follow the back gesture. */
export function follow(): void {
  route.value = read(history.state);
  window.addEventListener("popstate", (event) => {
    route.value = read(event.state);
  });
}

/** Go to a screen; a tab replaces the screen that was, for tabs are no steps to go back over. */
export function go(to: Route): void {
  const tab = !("id" in to);
  if (tab) history.replaceState({ route: to }, "");
  else history.pushState({ route: to, inside: true }, "");
  route.value = to;
  document.querySelector("main")?.scrollTo(0, 0);
}

/** One screen back. */
export function back(): void {
  if ((history.state as { inside?: boolean } | null)?.inside) history.back();
  else go({ page: route.value.page === "video" ? "videos" : "library" });
}
