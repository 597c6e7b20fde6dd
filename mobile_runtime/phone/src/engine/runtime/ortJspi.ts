/** onnxruntime-web with WebGPU, for browsers that can suspend WebAssembly. */

import * as ort from "onnxruntime-web/jspi";
import mjs from "onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url";
import wasm from "onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url";

ort.env.wasm.wasmPaths = { mjs: new URL(mjs, self.location.href), wasm: new URL(wasm, self.location.href) };

export { ort };
