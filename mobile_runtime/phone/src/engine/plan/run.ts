/** Runs a bundle: executes its plan, op by op, up to the frames; the app writes the file. */

import type { InputValue, ProgressEvent, RunResult } from "../api";
import { EngineError } from "../errors";
import type { Manifest, Op, WriteVideo } from "../manifest";
import type { Frames } from "../numbers/frames";
import type { BundleFiles } from "../runtime/files";
import { Meter } from "../runtime/meter";
import type { Runtime } from "../runtime/runtime";
import { describeInputs, resolveInputs } from "./inputs";
import { Networks } from "./networks";
import { runOp, type State } from "./ops";
import { Watch } from "./watch";

/** What jobs of one engine share. */
export interface Workshop {
  readonly manifest: Manifest;
  readonly runtime: Runtime;
  readonly files: BundleFiles;
  readonly budget: number | null;
}

/** Make a video. Throws InputError for a value, Cancelled, or an EngineError of one sentence. */
export async function runPlan(
  { manifest, runtime, files, budget }: Workshop,
  given: Readonly<Record<string, InputValue>>,
  tell: (event: ProgressEvent) => void,
  signal: AbortSignal,
  expected: Readonly<Record<string, number>>,
): Promise<RunResult> {
  const started = performance.now();
  const { plan } = manifest;
  const last = plan.find((op): op is WriteVideo => op.op === "write_video");
  if (last === undefined)
    throw new EngineError(
      `The bundle '${manifest.name}' has no plan, only networks to test and measure; export a workflow to make a` +
        " video.",
    );
  const values = await resolveInputs(manifest, given, (path) => files.read(path));
  const meter = new Meter();
  const watch = new Watch(plan, signal, tell, expected);
  const networks = new Networks(manifest, runtime, files, meter, budget);
  const timings: Record<string, number> = {};
  const state: State = {
    runtime,
    files,
    networks,
    values,
    watch,
    made: new Map(),
    evaluations: 0,
    leapSteps: {},
  };
  let frames: Frames | null = null;
  let weights: RunResult["report"]["weights"] = {};
  try {
    for (const [index, op] of plan.entries()) {
      watch.begin(index);
      const begun = performance.now();
      const result = await runOp(state, op);
      timings[op.id] = (performance.now() - begun) / 1000;
      state.made.set(op.id, result);
      if (op.op === "write_video") frames = state.made.get(op.frames.op) as Frames;
      await forget(state, plan.slice(index + 1));
    }
  } finally {
    watch.close();
    weights = await networks.finish();
  }
  if (frames === null) throw new EngineError("The plan made no frames; export the bundle again.");
  return {
    ...frames,
    fps: last.fps,
    webp: last.webp ?? null,
    report: {
      plan: runtime.plan,
      threads: runtime.threads,
      runtime: runtime.name,
      seconds: (performance.now() - started) / 1000,
      timings,
      evaluations: state.evaluations,
      leapSteps: state.leapSteps,
      values: await describeInputs(values),
      weights,
      peakBytes: meter.peakBytes,
    },
  };
}

/** Drop networks and results that no later op uses, so the peak is the largest op and not their sum. */
async function forget(state: State, rest: readonly Op[]): Promise<void> {
  const components = new Set<string>();
  const results = new Set<string>();
  for (const op of rest) {
    if ("component" in op) components.add(op.component);
    if (op.op === "decode" && op.next !== undefined) components.add(op.next);
    if (op.op === "denoise" && op.merge !== undefined) components.add(op.merge.component);
    if (op.op === "encode_image" && op.later !== undefined) components.add(op.later.component);
    const fields: unknown[] = Object.values(op);
    if (op.op === "denoise" && op.given?.latent !== undefined) fields.push(op.given.latent);
    for (const value of fields)
      if (typeof value === "object" && value !== null && "op" in value) results.add(value.op as string);
  }
  await state.networks.keep(components);
  for (const name of [...state.made.keys()]) if (!results.has(name)) state.made.delete(name);
}
