/** A bundle proves itself: each component must give its recorded outputs for its recorded inputs here. */

import type { Tensor } from "onnxruntime-web";
import type { ComponentReport, ProgressEvent, SelfTestReport } from "../api";
import { SelfTestError } from "../errors";
import { release } from "../numbers/arrays";
import { psnr } from "../numbers/compare";
import { copyTensor, letGo, takeFloats, toFloats } from "../runtime/arrays";
import { Meter } from "../runtime/meter";
import { Networks } from "./networks";
import type { Workshop } from "./run";
import { Watch } from "./watch";

/**
 * Run every component that the manifest's self-test names and compare.
 *
 * Throws SelfTestError naming the component, the figure and the bar.
 */
export async function selfTest(
  { manifest, runtime, files, budget }: Workshop,
  tell: (event: ProgressEvent) => void,
  signal: AbortSignal,
): Promise<SelfTestReport> {
  const { file, components } = manifest.self_test;
  const bytes = await files.read(file);
  const { tensors: places } = await files.layout(file);
  const names = Object.keys(components).sort();
  const watch = new Watch(
    names.map((id) => ({ id, op: "self_test" })),
    signal,
    tell,
  );
  const networks = new Networks(manifest, runtime, files, new Meter(), budget);
  const reports: Record<string, ComponentReport> = {};
  const pick = (prefix: string) =>
    new Map(
      [...places]
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, place]): [string, Tensor] => [
          name.slice(prefix.length),
          copyTensor(runtime.ort, bytes.buffer, place),
        ]),
    );
  try {
    for (const [index, name] of names.entries()) {
      watch.begin(index);
      watch.report(0, 1);
      const component = networks.get(name);
      const expected = pick(`${name}.out.`);
      const lacking = component.spec.outputs.filter((output) => !expected.has(output)).sort()[0];
      if (lacking !== undefined)
        throw new SelfTestError(
          `The self-test has no expected '${lacking}' of '${name}'; export the bundle again.`,
        );
      const started = performance.now();
      const inputs = pick(`${name}.in.`);
      const outputs = await component.run(inputs, watch.pause);
      const seconds = (performance.now() - started) / 1000;
      let worst = Number.POSITIVE_INFINITY;
      for (const [output, tensor] of outputs)
        worst = Math.min(worst, await compare(name, output, tensor, expected.get(output) as Tensor));
      for (const tensor of [...inputs.values(), ...expected.values()]) letGo(tensor);
      const bar = components[name]?.min_psnr ?? 0;
      if (!(worst >= bar))
        throw new SelfTestError(
          `The component '${name}' differs from its recorded outputs on this device (${worst.toFixed(1)} dB, needs` +
            ` ${bar.toFixed(1)} dB); use another browser or export the bundle again.`,
        );
      reports[name] = { psnr: worst, minPsnr: bar, seconds };
      await networks.keep(new Set());
      watch.report(1, 1);
    }
  } finally {
    watch.close();
    await networks.finish();
  }
  return reports;
}

async function compare(component: string, output: string, found: Tensor, expected: Tensor): Promise<number> {
  if (found.dims.join() !== expected.dims.join())
    throw new SelfTestError(
      `The component '${component}' makes '${output}' with the shape [${found.dims.join(", ")}] instead of` +
        ` [${expected.dims.join(", ")}]; export the bundle again.`,
    );
  const { data } = await takeFloats(found);
  const likeness = psnr(data, toFloats(expected.data, expected.type));
  release(data);
  return likeness;
}
