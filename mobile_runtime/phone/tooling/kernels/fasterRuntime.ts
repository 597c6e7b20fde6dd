/**
 * onnxruntime-web with the kernels of this folder, as `pocketvideo-runtime/<name>?url`.
 *
 * Two files, of which a phone loads one: with relaxed SIMD, where the browser has it, and without.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Plugin } from "vite";
import { depthwise } from "./depthwise.ts";
import { type GemmOptions, gemm } from "./gemm.ts";
import { layerNorm } from "./layerNorm.ts";
import { logistic } from "./logistic.ts";
import { bodyOf, indexOf, withBodies } from "./module.ts";
import { strassen } from "./strassen.ts";
import { transpose } from "./transpose.ts";

/**
 * MlasSgemmKernelZero, MlasSgemmKernelAdd, MlasComputeLogistic, a task of MlasTranspose, MlasConvOperation, a task
 * of LayerNormImpl's ComputeJob and MlasSgemmOperation of the runtime in package-lock.json.
 */
export const MLAS_KERNELS = {
  zero: "f7728808b5f87253962b9f639f830459c0961fbc2cd2f8463534e97ae5a7e534",
  add: "9e72cc3a5fb5a445d440bf86c3de4b8bb338ee3773f763c730af6227034c8f08",
  logistic: "b8a97ab4ed9bc350976d252bb8befd1bd933bba550caec66a8383fe79b1eac82",
  transpose: "74f52cdeaa2d0ce808d4861836c62ed0e1ff22eb9112ea48340590e0f5829831",
  convolution: "495a286b53968b5f935891dd8c1844e4bc1cbcd9a3abc076079660f0fd323a5f",
  layerNorm: "94539902ccce5eebdfcb69838c18d7989128c5060d95d4f1cae18a26778b20e5",
  product: "61620c06d104e6b64ff0c6977d0b91444376be3553d4cb17c4dc7e4e34c2bfee",
} as const;
/** Functions of the same runtime that kernels call. */
export const CALLED = {
  activation: "d71ebde7548cae8bd7c925dba828f22ca2dda51d4de176f93ac625fade0377c3",
  malloc: "bc327cca4c6327fe0dc7305f7b4c6c70f21721bee2fcaf9107fdcc24a0480fe3",
  free: "4a8e83a25414c68948dedfe5038caf162dfe0e90cfb57da767aa7f71ccbfbf74",
} as const;

const PREFIX = "pocketvideo-runtime/";
const PACKAGES = join(import.meta.dirname, "..", "..", "node_modules");
/** The runtime as it comes from npm. */
export const SOURCE = join(PACKAGES, "onnxruntime-web", "dist", "ort-wasm-simd-threaded.wasm");
const FILES: Readonly<Record<string, Pick<GemmOptions, "fused">>> = {
  "ort-wasm-simd-threaded-plain.wasm": { fused: false },
  "ort-wasm-simd-threaded-fused.wasm": { fused: true },
};

/** A runtime with our kernels. Throws an Error where its bytes are not those that they were made for. */
export function fasterRuntime(source: Uint8Array, fused: boolean): Uint8Array {
  try {
    const bodies = new Map<string, Uint8Array>([
      [MLAS_KERNELS.zero, gemm({ adding: false, fused })],
      [MLAS_KERNELS.add, gemm({ adding: true, fused })],
      [MLAS_KERNELS.logistic, logistic(fused)],
      [MLAS_KERNELS.transpose, transpose()],
      [MLAS_KERNELS.convolution, fasterConvolution(source, fused)],
    ]);
    // The other file gives the bits of the functions that are replaced.
    if (fused)
      bodies
        .set(MLAS_KERNELS.layerNorm, layerNorm(bodyOf(source, MLAS_KERNELS.layerNorm)))
        .set(MLAS_KERNELS.product, fasterProduct(source));
    return withBodies(source, bodies);
  } catch (error) {
    throw new Error(
      `${SOURCE} is not the one that tooling/kernels was made for (${error instanceof Error ? error.message : error});` +
        " install by the lock file, or find the digests of these kernels (docs/phone-engine.md).",
    );
  }
}

function fasterConvolution(source: Uint8Array, fused: boolean): Uint8Array {
  return depthwise(bodyOf(source, MLAS_KERNELS.convolution), indexOf(source, CALLED.activation), fused);
}

function fasterProduct(source: Uint8Array): Uint8Array {
  const { zero, add, product } = MLAS_KERNELS;
  return strassen(bodyOf(source, product), {
    zero: indexOf(source, zero),
    add: indexOf(source, add),
    itself: indexOf(source, product),
    malloc: indexOf(source, CALLED.malloc),
    free: indexOf(source, CALLED.free),
  });
}

/** The plugin: needed by pages and by workers alike. */
export function fasterRuntimeFiles(): Plugin {
  return {
    name: "pocketvideo-runtime",
    enforce: "pre",
    resolveId(id) {
      if (!id.startsWith(PREFIX)) return null;
      const [name = "", query] = id.slice(PREFIX.length).split("?");
      const options = FILES[name];
      if (options === undefined)
        throw new Error(`There is no runtime ${name}: choose ${Object.keys(FILES)}.`);
      return `${written(name, options.fused)}${query === undefined ? "" : `?${query}`}`;
    },
  };
}

/** Write a runtime once for its contents: several builds may run at a time. */
function written(name: string, fused: boolean): string {
  const made = fasterRuntime(readFileSync(SOURCE), fused);
  const digest = createHash("sha256").update(made).digest("hex").slice(0, 16);
  const path = join(PACKAGES, ".pocketvideo", digest, name);
  if (existsSync(path)) return path;
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, made);
  renameSync(partial, path);
  return path;
}
