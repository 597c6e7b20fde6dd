/**
 * onnxruntime-web for the processor alone, with kernels of our own (tooling/kernels). Two builds of it:
 * where the browser has relaxed SIMD, one that multiplies and adds at once.
 */

import mjs from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import * as ort from "onnxruntime-web/wasm";
import fused from "pocketvideo-runtime/ort-wasm-simd-threaded-fused.wasm?url";
import plain from "pocketvideo-runtime/ort-wasm-simd-threaded-plain.wasm?url";
import { hasFusedSimd } from "./simd";

const wasm = hasFusedSimd() ? fused : plain;
ort.env.wasm.wasmPaths = { mjs: new URL(mjs, self.location.href), wasm: new URL(wasm, self.location.href) };

export { ort };
