/**
 * Which ONNX graphs the phone loads (threat T10): standard operators of a closed list, one file, no loops.
 *
 * A reader of protobuf of its own looks into a graph before the runtime sees it, with bounds on lengths and
 * varints. What stays open: an allowed operator may still be given huge sizes, which the bounds on inputs
 * limit.
 */

import { BundleError } from "../errors";
import { CONTRIB_OPS, STANDARD_OPS } from "./graphOps.generated";

const MAX_NODES = 50_000;
const [MIN_OPSET, MAX_OPSET] = [13, 22];
const [VARINT, FIXED64, BYTES, FIXED32] = [0, 1, 2, 5];
const MODEL = { graph: 7, opset: 8, training: 20, functions: 25 };
const OPSET = { domain: 1, version: 2 };
const GRAPH = { node: 1, initializer: 5, sparse: 15 };
const NODE = { opType: 4, attribute: 5, domain: 7 };
const ATTRIBUTE = { tensor: 5, graph: 6, tensors: 10, graphs: 11, sparse: [22, 23] };
const TENSOR = { name: 8, external: 13, location: 14 };
/** The standard domain has two spellings. */
const STANDARD = ["", "ai.onnx"];

interface Field {
  readonly number: number;
  readonly wire: number;
  readonly value: number | Uint8Array;
}

/** What a policy needs to know of a model. */
interface Summary {
  readonly opsets: Map<string, number>;
  readonly ops: Map<string, { domain: string; type: string; count: number }>;
  external: string | null;
  subgraphs: number;
  forbidden: number;
  graphs: number;
}

/** Refuse a graph that a device must not load; `path` names it. Throws BundleError with one sentence. */
export function checkGraph(data: Uint8Array, path: string): void {
  let summary: Summary;
  try {
    summary = summarise(data);
  } catch (error) {
    throw new BundleError(
      `${path} is not an ONNX file (${(error as Error).message}); export the bundle again.`,
    );
  }
  const reason = objection(summary);
  if (reason !== null) throw new BundleError(`${path} ${reason}; export the bundle again with this pack.`);
}

function objection(summary: Summary): string | null {
  const ops = [...summary.ops.values()];
  const nodes = ops.reduce((sum, op) => sum + op.count, 0);
  if (summary.graphs !== 1 || nodes === 0)
    return `holds ${summary.graphs} graphs and ${nodes} nodes, so it is no network`;
  if (summary.external !== null)
    return `keeps the tensor '${summary.external}' in another file, which devices refuse`;
  if (summary.forbidden) return "holds functions, training data or sparse tensors, which devices refuse";
  if (summary.subgraphs) return "holds control flow, which devices refuse";
  if (nodes > MAX_NODES) return `has ${nodes} nodes and the limit is ${MAX_NODES}`;
  for (const { domain, type } of ops) {
    const allowed = STANDARD.includes(domain)
      ? STANDARD_OPS
      : domain === "com.microsoft"
        ? CONTRIB_OPS
        : null;
    if (!allowed?.has(type))
      return `uses the operator '${type}' of '${domain || "ai.onnx"}', which devices do not allow`;
  }
  for (const [domain, version] of summary.opsets) {
    if (STANDARD.includes(domain) && !(version >= MIN_OPSET && version <= MAX_OPSET))
      return `uses opset ${version} and devices run ${MIN_OPSET} to ${MAX_OPSET}`;
    if (domain === "com.microsoft" && version !== 1)
      return `uses opset ${version} of '${domain}' and devices run 1`;
  }
  return STANDARD.some((domain) => summary.opsets.has(domain)) ? null : "imports no standard operators";
}

function summarise(data: Uint8Array): Summary {
  const summary: Summary = {
    opsets: new Map(),
    ops: new Map(),
    external: null,
    subgraphs: 0,
    forbidden: 0,
    graphs: 0,
  };
  for (const { number, value } of messages(data)) {
    if (number === MODEL.graph) {
      summary.graphs++;
      readGraph(value, summary);
    } else if (number === MODEL.opset) {
      let [domain, version] = ["", 0];
      for (const field of fields(value)) {
        if (field.number === OPSET.domain && field.value instanceof Uint8Array) domain = text(field.value);
        if (field.number === OPSET.version && typeof field.value === "number") version = field.value;
      }
      summary.opsets.set(domain, version);
    } else if (number === MODEL.training || number === MODEL.functions) {
      summary.forbidden++;
    }
  }
  return summary;
}

function readGraph(data: Uint8Array, summary: Summary): void {
  for (const { number, value } of messages(data)) {
    if (number === GRAPH.node) readNode(value, summary);
    else if (number === GRAPH.initializer) readTensor(value, summary);
    else if (number === GRAPH.sparse) summary.forbidden++;
  }
}

function readNode(data: Uint8Array, summary: Summary): void {
  let [type, domain] = ["", ""];
  for (const { number, value } of messages(data)) {
    if (number === NODE.opType) type = text(value);
    else if (number === NODE.domain) domain = text(value);
    else if (number === NODE.attribute) readAttribute(value, summary);
  }
  const key = `${domain}:${type}`;
  const known = summary.ops.get(key);
  summary.ops.set(key, { domain, type, count: (known?.count ?? 0) + 1 });
}

function readAttribute(data: Uint8Array, summary: Summary): void {
  for (const { number, value } of messages(data)) {
    if (number === ATTRIBUTE.tensor || number === ATTRIBUTE.tensors) readTensor(value, summary);
    // Control flow is refused whole, so there is no need to look inside.
    else if (number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs) summary.subgraphs++;
    else if (ATTRIBUTE.sparse.includes(number)) summary.forbidden++;
  }
}

function readTensor(data: Uint8Array, summary: Summary): void {
  let name = "";
  let external = false;
  for (const { number, wire, value } of fields(data)) {
    if (number === TENSOR.name && value instanceof Uint8Array) name = text(value);
    else if (number === TENSOR.external || (number === TENSOR.location && wire === VARINT && value !== 0))
      external = true;
  }
  if (external) summary.external ??= name;
}

function* messages(data: Uint8Array): Generator<{ number: number; value: Uint8Array }> {
  for (const { number, value } of fields(data)) if (value instanceof Uint8Array) yield { number, value };
}

/** Each field of a message. Throws when the bytes are not protobuf. */
function* fields(data: Uint8Array): Generator<Field> {
  const cursor = { at: 0 };
  while (cursor.at < data.length) {
    const key = varint(data, cursor);
    const [number, wire] = [Math.floor(key / 8), key % 8];
    if (number === 0) throw new Error("a field has the number 0");
    if (wire === VARINT) {
      yield { number, wire, value: varint(data, cursor) };
    } else if (wire === BYTES) {
      const length = varint(data, cursor);
      if (length > data.length - cursor.at) throw new Error("a field is longer than the file");
      yield { number, wire, value: data.subarray(cursor.at, cursor.at + length) };
      cursor.at += length;
    } else if (wire === FIXED64 || wire === FIXED32) {
      const width = wire === FIXED64 ? 8 : 4;
      if (width > data.length - cursor.at) throw new Error("the file ends inside a number");
      cursor.at += width;
      yield { number, wire, value: 0 };
    } else {
      throw new Error(`a field has the wire type ${wire}`);
    }
  }
}

/** Exact up to 2^53, which is more than any length or version that is let through. */
function varint(data: Uint8Array, cursor: { at: number }): number {
  let result = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const byte = data[cursor.at++];
    if (byte === undefined) throw new Error("the file ends inside a number");
    result += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return result;
  }
  throw new Error("a number is longer than 10 bytes");
}

function text(data: Uint8Array): string {
  return new TextDecoder().decode(data.slice(0, 200));
}
