import { defaultClientConditions, defineConfig } from "vite";
import { fasterRuntimeFiles } from "../../../tooling/kernels/fasterRuntime.ts";

/** Builds the engine without the app; the folder to build into comes by the command line (--outDir). */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: ["onnxruntime-web-use-extern-wasm", ...defaultClientConditions] },
  build: { target: "es2022", assetsInlineLimit: 0, emptyOutDir: true, modulePreload: { polyfill: false } },
  plugins: [fasterRuntimeFiles()],
  worker: { format: "es", plugins: () => [fasterRuntimeFiles()] },
});
