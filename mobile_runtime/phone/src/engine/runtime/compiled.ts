/**
 * The runtime's compiled code, which the engines of one page hand on.
 *
 * An engine that compiles anew takes seconds on a phone, and memory beside what the engine before has not given
 * back yet. onnxruntime has no option for it.
 */

/** From what the runtime loads; as the bytes are not looked at, there are none. */
export const NO_BYTES = new ArrayBuffer(0);

/** Tell of the runtime's code when it is compiled. To be called in a worker before the runtime is loaded. */
export function tellCompiled(tell: (code: WebAssembly.Module) => void): void {
  const native = WebAssembly.instantiateStreaming;
  WebAssembly.instantiateStreaming = async (source, imports) => {
    const made = await native.call(WebAssembly, source, imports);
    tell(made.module);
    return made;
  };
}

/** Let the runtime have this code where it would compile its bytes. Called as `tellCompiled` is. */
export function giveCompiled(code: WebAssembly.Module): void {
  const native = WebAssembly.instantiate as (
    source: WebAssembly.Module,
    imports?: WebAssembly.Imports,
  ) => Promise<WebAssembly.Instance>;
  WebAssembly.instantiate = (async (_bytes: BufferSource, imports?: WebAssembly.Imports) => ({
    module: code,
    instance: await native.call(WebAssembly, code, imports),
  })) as typeof WebAssembly.instantiate;
}
