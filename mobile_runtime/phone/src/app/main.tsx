/** The page's one script. */

import { render } from "preact";
import { App } from "./app";
import { leaveForKept } from "./offline";
import { start } from "./start";

const root = document.getElementById("app");
if (!(await leaveForKept())) {
  if (root) render(<App />, root);
  void start();
}
