/**
 * A network as a chain of stages: one session per graph, weights fed as graph inputs.
 *
 * An environment of named tensors starts with the component's inputs. Each stage's graph takes every input by
 * name from the stage's weight file or else from the environment, and puts its outputs back under their
 * names, so `tokens` is overwritten block by block and one block's session serves all blocks of its kind. On
 * the GPU tensors stay there from stage to stage.
 */

import type { InferenceSession, Tensor } from "onnxruntime-web";
import type { WeightReport } from "../api";
import { checkGraph } from "../bundle/graph";
import type { ElementType } from "../bundle/safetensors";
import { EngineError, firstLine, PlanError, StartError } from "../errors";
import type { Component as Spec, Stage } from "../manifest";
import { converted, letGo, type Tensors } from "./arrays";
import type { BundleFiles } from "./files";
import { GpuWeights } from "./gpuWeights";
import { HostWeights } from "./hostWeights";
import type { Meter } from "./meter";
import { type Runtime, stageError } from "./runtime";
import type { WeightStore } from "./weights";

const NEXT = ".next";

/** Called between stages: lets messages in, and throws when the run is to stop. */
export type Check = () => Promise<void>;

export class Component {
  private readonly weights: WeightStore;
  private readonly sessions = new Map<string, InferenceSession>();

  constructor(
    private readonly runtime: Runtime,
    private readonly files: BundleFiles,
    meter: Meter,
    readonly name: string,
    readonly spec: Spec,
    budget: number | null,
  ) {
    const { ort, gpu } = runtime;
    this.weights =
      gpu === null
        ? new HostWeights(ort, name, files, meter, budget)
        : new GpuWeights(ort, gpu, name, files, meter, budget);
  }

  /** Run every stage and give the component's outputs, which the caller lets go. */
  async run(inputs: Tensors, check: Check): Promise<Map<string, Tensor>> {
    return (await this.runEach([inputs], check))[0] as Map<string, Tensor>;
  }

  /**
   * Run several evaluations side by side, stage by stage, and give the outputs of each.
   *
   * What each gives is what it would give alone; but a stage's weights are fetched once for all, which is
   * half the loading where a guided step has two prompts. `check` is called before each run of a graph.
   * Throws EngineError naming component, stage and tensor.
   */
  async runEach(evaluations: readonly Tensors[], check: Check): Promise<Map<string, Tensor>[]> {
    const environments = evaluations.map((inputs) => new Environment(this.inputs(inputs)));
    const { stages } = this.spec;
    try {
      const shapes = environments.map((environment) => environment.shapes());
      const key = JSON.stringify([stages.map((stage) => stage.graph), shapes]);
      await this.weights.begin(
        stages.map((stage) => stage.weights),
        key,
      );
      for (const [number, stage] of stages.entries()) {
        const session = await this.session(stage.graph);
        const weights = await this.weights.take(stage.weights);
        const started = performance.now();
        for (const environment of environments) {
          await check();
          await this.runStage(session, weights, environment, stage, number);
        }
        this.weights.release(stage.weights, (performance.now() - started) / 1000);
      }
      await this.runtime.gpu?.settle();
      this.weights.end();
      return environments.map((environment) => environment.outputs(this.name, this.spec.outputs));
    } catch (error) {
      for (const environment of environments) environment.close();
      throw this.runtime.gpu === null ? error : await this.runtime.gpu.explain(error);
    }
  }

  report(): WeightReport {
    return this.weights.report();
  }

  async close(): Promise<void> {
    this.weights.close();
    const sessions = [...this.sessions.values()];
    this.sessions.clear();
    for (const session of sessions) await session.release();
  }

  private inputs(given: Tensors): [string, Tensor][] {
    return this.spec.inputs.map((name) => {
      const tensor = given.get(name);
      if (tensor === undefined)
        throw new EngineError(
          `The component '${this.name}' was not given '${name}'; export the bundle again.`,
        );
      return [name, tensor];
    });
  }

  private async session(graph: string): Promise<InferenceSession> {
    const known = this.sessions.get(graph);
    if (known !== undefined) return known;
    const path = this.spec.graphs[graph] as string;
    const data = await this.files.read(path);
    checkGraph(data, path);
    let session: InferenceSession;
    try {
      session = await this.runtime.createSession(data);
    } catch (error) {
      if (error instanceof StartError) throw error;
      throw new EngineError(
        `${this.runtime.name} cannot load ${path} of the component '${this.name}' (${firstLine(error)}); export the` +
          " bundle again.",
      );
    }
    this.sessions.set(graph, session);
    return session;
  }

  private async runStage(
    session: InferenceSession,
    weights: Tensors,
    environment: Environment,
    stage: Stage,
    number: number,
  ): Promise<void> {
    const feeds: Record<string, Tensor> = {};
    const made: Tensor[] = [];
    const where = `stage ${number} (${stage.graph}) of the component '${this.name}'`;
    try {
      for (const wanted of session.inputMetadata) {
        if (!wanted.isTensor)
          throw new EngineError(`${where} takes what is no tensor; export the bundle again.`);
        const type = wanted.type as ElementType;
        if (type === "float16" && this.runtime.gpu?.half === false)
          throw new PlanError(
            "This GPU has no half precision, which the bundle uses; make it on the processor.",
          );
        const weight = weights.get(wanted.name);
        const tensor = weight ?? environment.get(wanted.name);
        if (tensor === undefined)
          throw new EngineError(
            `${where} needs '${wanted.name}', which neither its weights nor an earlier stage gives; export the` +
              " bundle again.",
          );
        if (weight !== undefined && weight.type !== type)
          throw new EngineError(
            `${where} needs '${wanted.name}' as ${type} and its weights give ${weight.type}; export the bundle again.`,
          );
        const fed = await converted(this.runtime.ort, tensor, type);
        if (fed !== tensor) made.push(fed);
        feeds[wanted.name] = fed;
      }
      const running = session.run(feeds);
      const outputs = await (this.runtime.gpu === null ? running : this.runtime.gpu.lost.over(running));
      environment.update(outputs);
    } catch (error) {
      this.runtime.gpu?.check();
      const cause = (await this.runtime.gpu?.explain(error)) ?? error;
      throw stageError(this.name, number, cause);
    } finally {
      for (const tensor of made) letGo(tensor);
    }
  }
}

/** The named tensors of one evaluation. Those that stages made are its own; its inputs are the caller's. */
class Environment {
  private readonly tensors: Map<string, Tensor>;
  private readonly own = new Set<Tensor>();

  constructor(inputs: readonly [string, Tensor][]) {
    this.tensors = new Map(inputs);
  }

  get(name: string): Tensor | undefined {
    return this.tensors.get(name);
  }

  shapes(): [string, readonly number[]][] {
    return [...this.tensors].map(([name, tensor]): [string, readonly number[]] => [name, tensor.dims]).sort();
  }

  update(made: Readonly<Record<string, Tensor>>): void {
    for (const [name, tensor] of Object.entries(made)) {
      const kept = name.endsWith(NEXT) ? name.slice(0, -NEXT.length) : name;
      this.drop(kept);
      this.tensors.set(kept, tensor);
      this.own.add(tensor);
    }
  }

  /** The outputs, now the caller's; everything else is let go. */
  outputs(component: string, names: readonly string[]): Map<string, Tensor> {
    const found = new Map<string, Tensor>();
    for (const name of names) {
      const tensor = this.tensors.get(name);
      if (tensor === undefined)
        throw new EngineError(`The component '${component}' makes no '${name}'; export the bundle again.`);
      found.set(name, tensor);
      this.own.delete(tensor);
    }
    this.close();
    return found;
  }

  close(): void {
    for (const tensor of this.own) letGo(tensor);
    this.own.clear();
    this.tensors.clear();
  }

  private drop(name: string): void {
    const before = this.tensors.get(name);
    if (before !== undefined && this.own.delete(before)) letGo(before);
  }
}
