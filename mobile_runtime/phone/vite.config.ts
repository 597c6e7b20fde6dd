import { defaultClientConditions } from "vite";
import { defineConfig } from "vitest/config";
import project from "./package.json" with { type: "json" };
import { fasterRuntimeFiles } from "./tooling/kernels/fasterRuntime.ts";
import { licenceFile } from "./tooling/licences.ts";
import { precache } from "./tooling/precache.ts";

// What the bridge sends with the app (docs/protocol.md section 13), so that development is as strict.
const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

export default defineConfig({
  define: { __APP_VERSION__: JSON.stringify(project.version) },
  plugins: [fasterRuntimeFiles(), licenceFile(), precache()],
  // The runtime without a copy of its loader inside, which the engine names itself (src/engine/runtime/ort*.ts).
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  build: {
    target: "es2022",
    // Everything is a file of its own: a data address would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw/sw.ts" },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  worker: { format: "es", plugins: () => [fasterRuntimeFiles()] },
  server: { headers: isolation },
  preview: { headers: isolation },
  test: { include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"], environment: "node" },
});
