/**
 * Checks a manifest before anything is run: the schema, then what a schema cannot say.
 *
 * That its bytes have the digest by which the bundle is known is the store's to check.
 */

import schema from "../../../../bundle/manifest.schema.json";
import { BundleError } from "../errors";
import type { Manifest } from "../manifest";
import { checkPlan } from "./plan";
import { SchemaError, validate } from "./schema";

const WHAT = "The manifest";
const MB = 2 ** 20;
const MAX_BUNDLE_BYTES = 2 ** 37;

/** Throw BundleError naming the first thing that is wrong. */
export function checkManifest(manifest: unknown): asserts manifest is Manifest {
  try {
    validate(schema, manifest, "manifest");
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error;
    throw new BundleError(
      `${WHAT} does not follow the format: ${error.message}; send or export the bundle again.`,
    );
  }
  checkReferences(manifest as Manifest);
  checkPlan(manifest as Manifest);
}

/** Every file that the manifest uses: its path, the ending it must have, and the most bytes it may have. */
function* references(manifest: Manifest): Generator<readonly [string, string, number]> {
  for (const component of Object.values(manifest.components)) {
    for (const path of Object.values(component.graphs)) yield [path, ".onnx", 64 * MB];
    for (const stage of component.stages) yield [stage.weights, ".safetensors", MAX_BUNDLE_BYTES];
    if (component.tokenizer !== undefined) yield [component.tokenizer, ".json", 64 * MB];
  }
  yield [manifest.self_test.file, ".safetensors", MAX_BUNDLE_BYTES];
  yield [manifest.workflow, ".json", 16 * MB];
  for (const input of Object.values(manifest.inputs))
    if (input.type === "image") yield [input.default, "", 64 * MB];
  for (const op of manifest.plan) {
    if (op.op === "encode_image" && typeof op.image === "string") yield [op.image, "", 64 * MB];
    if (op.op === "load_text") yield [op.features, ".safetensors", 64 * MB];
  }
}

function checkReferences(manifest: Manifest): void {
  const files = new Map(manifest.files.map((file) => [file.path, file.bytes]));
  for (const [path, ending, most] of references(manifest)) {
    const bytes = files.get(path);
    if (bytes === undefined)
      throw new BundleError(
        `${WHAT} uses '${path}' and does not list it among its files; export the bundle again.`,
      );
    if (!path.endsWith(ending))
      throw new BundleError(
        `${WHAT} uses '${path}' where a ${ending} file belongs; export the bundle again.`,
      );
    if (bytes > most)
      throw new BundleError(`${WHAT} lists '${path}' with ${bytes} bytes and the limit is ${most}.`);
  }
  for (const [name, component] of Object.entries(manifest.components)) {
    for (const stage of component.stages)
      if (!Object.hasOwn(component.graphs, stage.graph))
        throw new BundleError(
          `The component '${name}' has no graph '${stage.graph}'; export the bundle again.`,
        );
    const lacks = [component.tokenizer, component.max_tokens, component.pad_id].includes(undefined);
    if (component.kind === "text_encoder" && lacks)
      throw new BundleError(
        `The text encoder '${name}' needs tokenizer, max_tokens and pad_id; export it again.`,
      );
  }
  for (const name of Object.keys(manifest.self_test.components))
    if (!Object.hasOwn(manifest.components, name))
      throw new BundleError(`The self-test names the component '${name}', which the manifest lacks.`);
}
