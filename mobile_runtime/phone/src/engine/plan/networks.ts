/**
 * The components that a run has open; what no later op needs is closed, so that the peak is the largest op.
 */

import type { WeightReport } from "../api";
import { EngineError } from "../errors";
import type { Manifest } from "../manifest";
import { Component } from "../runtime/component";
import type { BundleFiles } from "../runtime/files";
import type { Meter } from "../runtime/meter";
import type { Runtime } from "../runtime/runtime";

export class Networks {
  private readonly open = new Map<string, Component>();
  private readonly reports: Record<string, WeightReport> = {};

  constructor(
    private readonly manifest: Manifest,
    private readonly runtime: Runtime,
    private readonly files: BundleFiles,
    private readonly meter: Meter,
    private readonly budget: number | null,
  ) {}

  /** A component of the bundle. Throws EngineError when the manifest lacks it. */
  get(name: string): Component {
    const known = this.open.get(name);
    if (known !== undefined) return known;
    const spec = this.manifest.components[name];
    if (spec === undefined) throw new EngineError(`The bundle has no component '${name}'; export it again.`);
    const made = new Component(this.runtime, this.files, this.meter, name, spec, this.budget);
    this.open.set(name, made);
    return made;
  }

  /** One of two components that never run at once; a budget has room for the one that runs. */
  async oneOf(wanted: string, other: string | null): Promise<Component> {
    if (this.budget !== null && other !== null && this.open.has(other)) await this.close(other);
    return this.get(wanted);
  }

  /** Close all but these. */
  async keep(names: ReadonlySet<string>): Promise<void> {
    for (const name of [...this.open.keys()]) if (!names.has(name)) await this.close(name);
  }

  /** What became of the weights, by component. */
  async finish(): Promise<Readonly<Record<string, WeightReport>>> {
    await this.keep(new Set());
    return this.reports;
  }

  private async close(name: string): Promise<void> {
    const component = this.open.get(name);
    this.open.delete(name);
    if (component === undefined) return;
    const [now, before] = [component.report(), this.reports[name]];
    this.reports[name] =
      before === undefined
        ? now
        : {
            ...now,
            passes: before.passes + now.passes,
            waitedSeconds: before.waitedSeconds + now.waitedSeconds,
          };
    await component.close();
  }
}
