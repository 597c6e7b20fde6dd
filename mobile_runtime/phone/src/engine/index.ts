/** The engine: runs a bundle in the browser, to the video that ComfyUI makes from the same seed. */

export type * from "./api";
export { openEngine } from "./client";
export * from "./errors";
export type * from "./manifest";
export { hasFusedSimd } from "./runtime/simd";
