// The Open Inference Protocol v2 without its transport: models by name, transactions as one tensor a field, answers as tensors.
import { SentinelError } from "../core/errors.ts";
import { deciderOf } from "./answer.ts";
import { answerItems } from "./batch.ts";
import { rowsOf } from "./columns.ts";
import type { Engine } from "./engine.ts";
import { invalidRequest } from "./faults.ts";
import { inputsOf } from "./oip/metadata.ts";
import type { InferRequest, OutputTensor } from "./oip/tensors.ts";
import type { Pipelines, Stoppable } from "./pipelines.ts";
import type { Reply } from "./reply.ts";

export {
  type InferRequest,
  type OutputTensor,
  rawNumbers,
  rawTexts,
  readRequest,
  writeTensors,
} from "./oip/tensors.ts";

export const OIP_EXTENSIONS = ["binary_tensor_data"];

/** What an answer may hold, and how it is taken from the reply of each transaction. */
const OUTPUTS: readonly {
  readonly name: string;
  readonly datatype: OutputTensor["datatype"];
  value(reply: Reply): string | number | null;
}[] = [
  { name: "score", datatype: "FP64", value: ({ score }) => score },
  { name: "anomaly_score", datatype: "FP64", value: ({ anomaly_score }) => anomaly_score },
  { name: "decision", datatype: "BYTES", value: ({ decision }) => decision },
  { name: "transaction_id", datatype: "BYTES", value: ({ transaction_id }) => transaction_id },
  { name: "version", datatype: "BYTES", value: ({ model }) => model?.version ?? "" },
];

export interface Inferred {
  /** Of the bundle that answered; empty where the pipeline has no model. */
  readonly version: string;
  readonly tensors: readonly (OutputTensor & { readonly binary: boolean })[];
  readonly shape: readonly number[];
}

/**
 * The answers to a request's transactions, in order, by one bundle, all or nothing. `charge` as for {@link answerItems}. Errors:
 * `request.invalid` and those of {@link answerItems}.
 */
export async function inferTensors(
  engine: Engine,
  asked: InferRequest,
  charge: (count: number) => void,
): Promise<Inferred> {
  const wanted = wantedOf(asked);
  const items = rowsOf(asked.columns);
  if (items.length === 0) throw invalidRequest([{ field: "inputs", message: "hold no transaction" }]);
  const replies = await answerItems(engine, items, { charge });
  const tensors = wanted.map(({ output, binary }) => ({
    name: output.name,
    datatype: output.datatype,
    binary,
    values: replies.map((reply) => output.value(reply)),
  }));
  const shape = asked.matrix ? [replies.length, 1] : [replies.length];
  return { version: replies[0].model?.version ?? "", tensors, shape };
}

/** What the protocol says of a model; a pipeline of rules alone has no versions. Throws `server.not-ready` where nothing can answer. */
export function oipMetadata(engine: Engine) {
  const champion = deciderOf(engine.live.current);
  return {
    name: engine.pipeline.model,
    versions: champion === null ? [] : [champion.scorer.version],
    platform: "sentinel",
    inputs: inputsOf(engine),
    outputs: OUTPUTS.map(({ name, datatype }) => ({ name, datatype, shape: [-1] })),
  };
}

/**
 * The engine behind a model's name, or behind its pipeline's where several have one model. Throws `request.not-found` for a model that is
 * not here, `server.not-ready` for a pipeline that is not up.
 */
export function engineOfModel<E extends Engine & Stoppable>(pipelines: Pipelines<E>, wanted: string): E {
  const named = pipelines.all().filter(({ engine }) => engine?.pipeline.model === wanted);
  if (named.length > 1) {
    const names = named.map(({ name }) => name).join(", ");
    throw new SentinelError("request.not-found", `several pipelines answer by model ${JSON.stringify(wanted)}`, {
      hint: `put the pipeline in its place: ${names}`,
    });
  }
  if (named.length === 0 && pipelines.get(wanted) === undefined) {
    const models = new Set(pipelines.all().map(({ name, engine }) => engine?.pipeline.model ?? name));
    throw new SentinelError("request.not-found", `there is no model ${JSON.stringify(wanted)}`, {
      hint: `this server has ${[...models].join(", ")}`,
    });
  }
  return named[0]?.engine ?? pipelines.find(wanted);
}

/** Throws `request.not-found` for another version than the champion's; undefined follows the champion. */
export function checkVersion(engine: Engine, version: string | undefined): void {
  if (version === undefined) return;
  const { model } = engine.pipeline;
  const champion = deciderOf(engine.live.current)?.scorer.version;
  if (version === champion) return;
  const which =
    champion === undefined ? "rules alone answer, without a version" : `the champion is version ${champion}`;
  throw new SentinelError("request.not-found", `version ${JSON.stringify(version)} of ${model} does not answer here`, {
    hint: `${which}; leave the version out${champion === undefined ? "" : " to follow it"}`,
  });
}

function wantedOf({ outputs, binary }: InferRequest) {
  if (outputs === null) return OUTPUTS.map((output) => ({ output, binary }));
  return outputs.map(({ name, binary: own }) => {
    const output = OUTPUTS.find((one) => one.name === name);
    if (output !== undefined) return { output, binary: own || binary };
    const known = OUTPUTS.map((one) => one.name).join(", ");
    throw invalidRequest([{ field: name, message: `is no output; there are ${known}` }], "the inference request");
  });
}
