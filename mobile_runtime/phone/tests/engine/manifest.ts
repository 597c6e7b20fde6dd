/** A manifest that is right, for tests that break one thing in it. */

import type { Manifest } from "../../src/engine";

// biome-ignore lint/suspicious/noExplicitAny: tests break its types, too
export function rightManifest(): any {
  const file = (path: string, bytes = 10) => ({ path, sha256: "ab".repeat(32), bytes });
  const manifest: Manifest = {
    format: "pocketvideo-bundle",
    version: 1,
    name: "tiny",
    created_by: "test",
    license: "",
    inputs: {
      prompt: { type: "text", label: "Prompt", default: "a ring", max_length: 10 },
      seed: { type: "seed", default: "18446744073709551615" },
      steps: { type: "integer", label: "Steps", default: 3, minimum: 1, maximum: 50 },
      motion: { type: "number", label: "Motion", default: 2, minimum: 0, maximum: 10 },
      photo: { type: "image", label: "Photo", width: 6, height: 4, default: "photo.png" },
    },
    plan: [
      { id: "text", op: "encode_text", component: "words", text: { input: "prompt" } },
      {
        id: "first",
        op: "encode_image",
        component: "encoder",
        image: { input: "photo" },
        width: 6,
        height: 4,
      },
      { id: "noise", op: "noise", seed: { input: "seed" }, shape: [1, 3, 4, 4, 6] },
      {
        id: "latent",
        op: "denoise",
        component: "denoiser",
        noise: { op: "noise" },
        positive: { op: "text" },
        negative: null,
        guidance: 1,
        first_frame: { op: "first" },
        motion: { input: "motion" },
        sampler: "euler",
        schedule: { name: "simple", steps: { input: "steps" }, shift: 3, denoise: 1, multiplier: 1 },
      },
      { id: "frames", op: "decode", component: "decoder", latent: { op: "latent" } },
      { id: "video", op: "write_video", frames: { op: "frames" }, fps: 8 },
    ],
    components: {
      words: {
        ...component("text_encoder", ["input_ids", "attention_mask"], "context"),
        tokenizer: "tokenizer.json",
        max_tokens: 6,
        pad_id: 0,
      },
      encoder: component("vae_encoder", ["image"], "latent"),
      denoiser: component("denoiser", ["latent", "timestep", "context"], "velocity"),
      decoder: component("vae_decoder", ["latent"], "frames"),
    },
    files: [
      file("graph.onnx"),
      file("weights.safetensors"),
      file("self_test.safetensors"),
      file("tokenizer.json"),
      file("photo.png"),
      file("workflow.json"),
    ],
    memory: { weights: 10, largest_stage: 10, activations_estimate: 10 },
    self_test: { file: "self_test.safetensors", components: { denoiser: { min_psnr: 60 } } },
    workflow: "workflow.json",
  };
  return structuredClone(manifest);
}

function component(kind: Manifest["components"][string]["kind"], inputs: string[], output: string) {
  const stages = [{ graph: "main", weights: "weights.safetensors" }];
  return { kind, graphs: { main: "graph.onnx" }, stages, inputs, outputs: [output] };
}
