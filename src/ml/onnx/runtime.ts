// ONNX Runtime for foreign graphs: the one file that names onnxruntime-node, loaded when such a graph is.
import { createRequire } from "node:module";
import { messageOf, SentinelError } from "../../core/errors.ts";

/** A loaded graph of one input, Float32 [N, width], and one output, whose numbers one run answers. */
export interface GraphSession {
  run(values: Float32Array, rows: number): Float32Array | Float64Array;
}

/** As much of onnxruntime-node's native binding as is used here; its `run` answers at once, unlike the public one. */
interface Binding {
  readonly InferenceSession: new () => NativeSession;
}

interface NativeSession {
  loadModel(buffer: ArrayBufferLike, offset: number, length: number, options: Readonly<Record<string, unknown>>): void;
  run(
    feeds: Readonly<Record<string, unknown>>,
    fetches: Readonly<Record<string, null>>,
    options: Readonly<Record<string, unknown>>,
  ): Readonly<Record<string, { readonly data: unknown }>>;
}

interface Runtime {
  readonly binding: Binding;
  readonly Tensor: new (type: "float32", data: Float32Array, dims: readonly number[]) => unknown;
}

/** One thread: scores are answered one by one, and the same order of additions gives the same bits. */
const OPTIONS = { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: "sequential", logSeverityLevel: 3 };

/** Whether onnxruntime-node can be loaded here. */
export function hasRuntime(): boolean {
  try {
    loadRuntime();
    return true;
  } catch (error) {
    if (error instanceof SentinelError) return false;
    throw error;
  }
}

/**
 * Opens a graph. Answers come without waiting: the public `run` of onnxruntime-node is this call, put off to a later tick.
 * Errors: `ml.runtime-missing`; `ml.model-invalid` where the runtime refuses the graph, then or in a run.
 */
export function openGraph(
  bytes: Uint8Array,
  ends: { readonly input: string; readonly output: string; readonly width: number },
): GraphSession {
  const { binding, Tensor } = loadRuntime();
  const session = new binding.InferenceSession();
  refusing(() => session.loadModel(bytes.buffer, bytes.byteOffset, bytes.byteLength, OPTIONS));
  return {
    run(values, rows) {
      const { data } = refusing(
        () =>
          session.run({ [ends.input]: new Tensor("float32", values, [rows, ends.width]) }, { [ends.output]: null }, {})[
            ends.output
          ],
      );
      if (data instanceof Float32Array || data instanceof Float64Array) return data;
      throw new SentinelError("ml.model-invalid", `the graph's output ${ends.output} holds no floating-point numbers`, {
        hint: "export the model with the probability of fraud as a tensor of floats",
      });
    },
  };
}

let loaded: Runtime | undefined;

function loadRuntime(): Runtime {
  if (loaded !== undefined) return loaded;
  try {
    const require = createRequire(import.meta.url);
    const { Tensor } = require("onnxruntime-node") as Pick<Runtime, "Tensor">;
    const native = require("onnxruntime-node/dist/binding.js") as {
      readonly binding: Binding;
      initOrt(): void;
    };
    native.initOrt();
    loaded = { binding: native.binding, Tensor };
    return loaded;
  } catch (error) {
    throw new SentinelError("ml.runtime-missing", `onnxruntime-node cannot be loaded: ${firstLine(error)}`, {
      hint: "an imported ONNX graph is scored by it: ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node",
      cause: error,
    });
  }
}

function refusing<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new SentinelError("ml.model-invalid", `onnxruntime refuses the graph: ${firstLine(error)}`, {
      hint: "check the model with onnx.checker.check_model, and export it again",
      cause: error,
    });
  }
}

function firstLine(error: unknown): string {
  return messageOf(error).split("\n")[0];
}
