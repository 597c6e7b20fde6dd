/** Tensors of onnxruntime from and to plain arrays. */

import type * as Ort from "onnxruntime-web";
import type { Tensor } from "onnxruntime-web";
import type { ElementType, TensorPlace } from "../bundle/safetensors";
import { EngineError } from "../errors";
import { type Floats, release } from "../numbers/arrays";
import { fromHalf, toHalf } from "../numbers/half";

export type Tensors = ReadonlyMap<string, Tensor>;

type View =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array
  | Uint16Array;

/** A tensor as a view of a file's bytes. */
export function viewTensor(ort: typeof Ort, buffer: ArrayBufferLike, place: TensorPlace): Tensor {
  return new ort.Tensor(place.type as "float32", view(buffer, place) as Float32Array, place.shape);
}

/** A tensor with bytes of its own. */
export function copyTensor(ort: typeof Ort, buffer: ArrayBufferLike, place: TensorPlace): Tensor {
  const own = new Uint8Array(buffer, place.offset, place.bytes).slice();
  return viewTensor(ort, own.buffer, { ...place, offset: 0 });
}

/** A place's elements as a view; half precision as its bits. */
export function view(buffer: ArrayBufferLike, { type, offset, bytes }: TensorPlace): View {
  switch (type) {
    case "float64":
      return new Float64Array(buffer, offset, bytes / 8);
    case "float32":
      return new Float32Array(buffer, offset, bytes / 4);
    case "float16":
      return half(buffer, offset, bytes / 2);
    case "int64":
      return new BigInt64Array(buffer, offset, bytes / 8);
    case "int32":
      return new Int32Array(buffer, offset, bytes / 4);
    case "int16":
      return new Int16Array(buffer, offset, bytes / 2);
    case "int8":
      return new Int8Array(buffer, offset, bytes);
    default:
      return new Uint8Array(buffer, offset, bytes);
  }
}

/**
 * onnxruntime takes half precision as Float16Array where the browser has it, and as bits where it has not.
 */
function half(buffer: ArrayBufferLike, offset: number, length: number): Uint16Array {
  const Half = (globalThis as { Float16Array?: typeof Uint16Array }).Float16Array ?? Uint16Array;
  return new Half(buffer, offset, length);
}

export function floatTensor(ort: typeof Ort, { data, shape }: Floats): Tensor {
  return new ort.Tensor("float32", data, shape);
}

export function wholeTensor(ort: typeof Ort, data: BigInt64Array, shape: readonly number[]): Tensor {
  return new ort.Tensor("int64", data, shape);
}

/** The numbers of a tensor, fetched from the GPU where they are there. The tensor is used up. */
export async function takeFloats(tensor: Tensor): Promise<Floats> {
  const { type, dims: shape } = tensor;
  const data = await tensor.getData(true);
  const floats = toFloats(data, type);
  if (floats !== data) free(data);
  return { data: floats, shape };
}

/** Numbers of any type as float32. */
export function toFloats(data: Tensor["data"], type: string): Float32Array {
  if (data instanceof Float32Array) return data;
  if (type === "float16" && data instanceof Uint16Array) return Float32Array.from(data, fromHalf);
  return Float32Array.from(data as ArrayLike<number | bigint>, Number);
}

/** A tensor in the type that a graph wants. Throws EngineError for types that do not convert. */
export async function converted(ort: typeof Ort, tensor: Tensor, type: ElementType): Promise<Tensor> {
  if (tensor.type === type) return tensor;
  const data = await tensor.getData();
  const numbers = toFloats(data, tensor.type);
  const made = () => {
    switch (type) {
      case "float32":
        return numbers;
      case "float64":
        return Float64Array.from(numbers);
      case "float16": {
        const bits = Uint16Array.from(numbers, toHalf);
        return half(bits.buffer, 0, bits.length);
      }
      case "int64":
        return BigInt64Array.from(numbers, (value) => BigInt(Math.trunc(value)));
      case "int32":
        return Int32Array.from(numbers);
      case "bool":
        return Uint8Array.from(numbers, (value) => Number(value !== 0));
      default:
        throw new EngineError(
          `A tensor of ${tensor.type} cannot become one of ${type}; export the bundle again.`,
        );
    }
  };
  return new ort.Tensor(type as "float32", made() as Float32Array, tensor.dims);
}

/** Give back what a tensor takes that nobody reads any more; it shares its numbers with no other. */
export function letGo(tensor: Tensor): void {
  if (tensor.location === "gpu-buffer") tensor.dispose();
  else if (tensor.location === "cpu") free(tensor.data);
}

function free(data: Tensor["data"]): void {
  if (ArrayBuffer.isView(data)) release(data);
}
