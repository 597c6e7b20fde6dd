/** The page's one script. */

import { render } from "preact";
import { App } from "./app";
import { start } from "./start";

const root = document.getElementById("app");
if (root) render(<App />, root);
void start();
