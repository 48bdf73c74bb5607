// The service inference.GRPCInferenceService: the Open Inference Protocol over gRPC, by the same reading and answering of tensors as over REST.
import { SentinelError } from "../core/errors.ts";
import { invalidRequest } from "../online/faults.ts";
import {
  checkVersion,
  engineOfModel,
  inferTensors,
  OIP_EXTENSIONS,
  type OutputTensor,
  oipMetadata,
  readRequest,
} from "../online/oip.ts";
import { isAnyReady, readinessOf } from "../online/readiness.ts";
import { type Call, chargeOf, checkLength, type Door, type UnaryMethod, withinBatch } from "./calls.ts";
import type { GrpcEngine } from "./parts.ts";
import { rawContents, rawTensor, type TensorContents, typedTensor } from "./tensors.ts";

const OPEN = { need: "open", shed: false, streams: false } as const;

/** The methods by name. */
export function oipMethods(door: Door): Readonly<Record<string, UnaryMethod>> {
  const { parts } = door;
  return {
    ServerLive: { terms: OPEN, run: () => ({ live: true }) },
    ServerReady: { terms: OPEN, run: ({ admitted }) => ({ ready: isReadyFor(parts, admitted) }) },
    ServerMetadata: {
      terms: OPEN,
      run: () => ({ name: "sentinel", version: parts.packageVersion, extensions: OIP_EXTENSIONS }),
    },
    ModelReady: { terms: OPEN, run: (call) => ({ ready: isModelReady(door, call) }) },
    ModelMetadata: {
      terms: { ...OPEN, need: "any" },
      run: (call) => oipMetadata(modelOf(door, call, call.request.name)),
    },
    ModelInfer: { terms: { need: "predict", shed: true, streams: false }, run: (call) => infer(door, call) },
  };
}

function isReadyFor(parts: Door["parts"], { caller }: Call["admitted"]): boolean {
  const { pipelines, readyElsewhere } = parts.roomOf(caller);
  return isAnyReady(pipelines.all()) || readyElsewhere?.() === true;
}

/** Whether a model can answer. Throws `request.not-found` for one that is not here, or whose champion is another version. */
function isModelReady({ parts }: Door, { request, admitted }: Call): boolean {
  const { name = "", version = "" } = request as { readonly name?: string; readonly version?: string };
  let engine: GrpcEngine;
  try {
    engine = engineOfModel(parts.roomOf(admitted.caller).pipelines, name);
  } catch (error) {
    // A pipeline that is not up is known, and not ready.
    if (error instanceof SentinelError && error.code === "server.not-ready") return false;
    throw error;
  }
  const { ready } = readinessOf(engine);
  if (ready && version !== "") checkVersion(engine, version);
  return ready;
}

/** The pipeline of a model, with the call counted there. */
function modelOf({ parts }: Door, { request, admitted }: Call, name: unknown): GrpcEngine {
  const { version = "", model_version: modelVersion = version } = request as Readonly<
    Record<string, string | undefined>
  >;
  const engine = engineOfModel(parts.roomOf(admitted.caller).pipelines, typeof name === "string" ? name : "");
  admitted.belongsTo(engine);
  if (modelVersion !== "") checkVersion(engine, modelVersion);
  return engine;
}

interface InputTensor {
  readonly name?: string;
  readonly datatype?: string;
  /** int64 as text. */
  readonly shape: readonly string[];
  readonly contents?: TensorContents;
}

async function infer(door: Door, call: Call): Promise<object> {
  const engine = modelOf(door, call, call.request.model_name);
  checkLength(engine, call.length);
  const {
    inputs,
    outputs,
    raw_input_contents: given,
    id,
  } = call.request as {
    readonly inputs: readonly InputTensor[];
    readonly outputs: readonly { readonly name?: string }[];
    readonly raw_input_contents: readonly Buffer[];
    readonly id?: string;
  };
  const isRaw = given.length > 0;
  if (isRaw && (given.length !== inputs.length || inputs.some(({ contents }) => contents !== undefined))) {
    throw invalidRequest(
      [{ field: "raw_input_contents", message: "must hold one value per input, and no input contents of its own" }],
      "the inference request",
    );
  }
  const raws = isRaw
    ? given
    : inputs.map(({ name = "", datatype = "", contents = {} }) => rawContents(name, { datatype, contents }));
  // The head of a binary request over REST, whose raw values follow it.
  const head = {
    inputs: inputs.map(({ name, datatype, shape }, at) => ({
      name,
      datatype,
      shape: shape.map(Number),
      parameters: { binary_data_size: raws[at].length },
    })),
    outputs: outputs.map(({ name = "" }) => ({ name })),
  };
  const asked = readRequest(head, Buffer.concat(raws));
  const { version, tensors, shape } = await withinBatch(door, {
    engine,
    answer: inferTensors(engine, asked, chargeOf(door, call)),
  });
  const headOf = ({ name, datatype }: OutputTensor) => ({ name, datatype, shape });
  return {
    model_name: engine.pipeline.model,
    model_version: version,
    id,
    ...(isRaw
      ? { outputs: tensors.map(headOf), raw_output_contents: tensors.map(rawTensor) }
      : { outputs: tensors.map((tensor) => ({ ...headOf(tensor), contents: typedTensor(tensor) })) }),
  };
}
