// GET /v2…, POST /v2/models/{model}/infer: the Open Inference Protocol v2, with Triton's extension for binary tensors.
import { SentinelError } from "../core/errors.ts";
import { championOf } from "../online/answer.ts";
import { invalidRequest } from "../online/faults.ts";
import { readinessOf } from "../online/readiness.ts";
import type { Reply } from "../online/reply.ts";
import { answerItems } from "./batch.ts";
import { bodyBytes, decode, mediaType } from "./body.ts";
import { rowsOf } from "./columns.ts";
import { parseJson } from "./json.ts";
import { inputsOf } from "./oip/metadata.ts";
import { type InferRequest, type OutputTensor, readRequest, writeTensors } from "./oip/tensors.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "./parts.ts";
import { isReady } from "./probes.ts";
import { ref } from "./schemas.ts";

const HEADER_LENGTH = "inference-header-content-length";
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

const object = { "application/json": { type: "object" } };
const MODEL = "/v2/models/{model}";
const VERSION = `${MODEL}/versions/{version}`;

const about: Omit<ServerRoute, "path" | "summary" | "runServer"> = {
  method: "GET",
  access: "open",
  answers: object,
  errorMember: true,
};

const serverRoutes: readonly ServerRoute[] = [
  {
    ...about,
    path: "/v2",
    summary: "Open Inference Protocol: name, version and extensions of the server.",
    runServer: (server) =>
      jsonResponse({ name: "sentinel", version: server.packageVersion, extensions: ["binary_tensor_data"] }),
  },
  {
    ...about,
    path: "/v2/health/live",
    summary: "Open Inference Protocol: 200 while the process answers at all.",
    runServer: () => jsonResponse({ live: true }),
  },
  {
    ...about,
    path: "/v2/health/ready",
    tellsUnready: true,
    summary: "Open Inference Protocol: 200 when a champion can answer, else 503; of several pipelines one is enough.",
    runServer: (server) => jsonResponse({ ready: isReady(server) }, isReady(server) ? 200 : 503),
  },
];

/** The same three for a model and for one version of it. */
const modelRoutes: readonly ServerRoute[] = [MODEL, VERSION].flatMap((path): readonly ServerRoute[] => {
  const which = path === MODEL ? "the model" : "a version, which must be the champion's";
  return [
    {
      ...about,
      access: "any",
      findsPipeline: true,
      path,
      summary: `Open Inference Protocol: inputs and outputs of ${which}.`,
      runServer: (server, context) => jsonResponse(metadataOf(partsOf(server, context))),
    },
    {
      ...about,
      findsPipeline: true,
      path: `${path}/ready`,
      tellsUnready: true,
      summary: `Open Inference Protocol: 200 when ${which} can answer, else 503.`,
      runServer(server, context) {
        const parts = partsOf(server, context);
        const { ready } = readinessOf(parts);
        return jsonResponse({ name: parts.pipeline.model, ready }, ready ? 200 : 503);
      },
    },
    {
      method: "POST",
      access: "predict",
      findsPipeline: true,
      path: `${path}/infer`,
      summary: `Open Inference Protocol: scores transactions that come as one tensor a field, by ${which}. As a JSON array at /predict/batch: in order, by one bundle, all or nothing.`,
      shed: true,
      errorMember: true,
      body: {
        "application/json": ref("InferRequest"),
        "application/octet-stream": { type: "string", format: "binary" },
      },
      answers: {
        "application/json": ref("InferResponse"),
        "application/octet-stream": { type: "string", format: "binary" },
      },
      runServer: infer,
    },
  ];
});

export const oipRoutes: readonly ServerRoute[] = [...serverRoutes, ...modelRoutes];

async function infer(server: Server, context: RequestContext): Promise<Response> {
  const parts = partsOf(server, context);
  const request = context.req.raw;
  // Triton's own client names no type.
  if (request.headers.has("content-type")) mediaType(request, ["application/json", "application/octet-stream"]);
  const body = await bodyBytes(parts, context);
  const { json, raw } = splitBody(body, request.headers.get(HEADER_LENGTH));
  const asked = readRequest(parseJson(decode(json)), raw);
  const wanted = wantedOf(asked);
  const items = rowsOf(asked.columns);
  if (items.length === 0) throw invalidRequest([{ field: "inputs", message: "hold no transaction" }]);
  const replies = await answerItems(parts, items, { caller: context.get("caller") });
  const tensors = wanted.map(({ output, binary }) => ({
    name: output.name,
    datatype: output.datatype,
    binary,
    values: replies.map((reply) => output.value(reply)),
  }));
  const shape = asked.matrix ? [replies.length, 1] : [replies.length];
  const { outputs, raw: bytes } = writeTensors(tensors, shape);
  const version = replies[0].model?.version ?? "";
  const head = {
    model_name: parts.pipeline.model,
    model_version: version,
    ...(asked.id === undefined ? {} : { id: asked.id }),
    outputs,
  };
  return bytes.length === 0 ? jsonResponse(head) : binaryResponse(head, bytes);
}

/** The JSON and what follows it. Throws `request.malformed`. */
function splitBody(body: Uint8Array, header: string | null): { readonly json: Uint8Array; readonly raw: Uint8Array } {
  if (header === null) return { json: body, raw: body.subarray(body.length) };
  const length = /^\d{1,15}$/.test(header) ? Number(header) : Number.NaN;
  if (length <= body.length) return { json: body.subarray(0, length), raw: body.subarray(length) };
  throw new SentinelError("request.malformed", `Inference-Header-Content-Length is ${JSON.stringify(header)}`, {
    hint: `send the length of the JSON before the binary data, at most the body's ${body.length} bytes`,
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

function binaryResponse(head: object, raw: Buffer): Response {
  const json = Buffer.from(JSON.stringify(head), "utf8");
  const headers = { "content-type": "application/octet-stream", [HEADER_LENGTH]: String(json.length) };
  return new Response(Buffer.concat([json, raw]), { headers });
}

function metadataOf(parts: ServerParts) {
  return {
    name: parts.pipeline.model,
    versions: [championOf(parts.live.current).scorer.version],
    platform: "sentinel",
    inputs: inputsOf(parts),
    outputs: OUTPUTS.map(({ name, datatype }) => ({ name, datatype, shape: [-1] })),
  };
}

/**
 * The pipeline behind a model's name, or behind its own where several have one model. Throws `request.not-found` for a model that is not
 * here and for another version than the champion's, `server.not-ready` for a pipeline that is not up.
 */
function partsOf({ pipelines, access }: Server, context: RequestContext): ServerParts {
  const wanted = context.req.param("model")!;
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
  const parts = named[0]?.engine ?? pipelines.find(wanted);
  // /ready asks for no key at all.
  if (!context.req.path.endsWith("/ready")) access.checkPipeline(context.get("caller"), parts.pipeline.name);
  context.set("parts", parts);
  checkVersion(parts, context.req.param("version"));
  return parts;
}

function checkVersion(parts: ServerParts, version: string | undefined): void {
  if (version === undefined) return;
  const { model } = parts.pipeline;
  const champion = championOf(parts.live.current).scorer.version;
  if (version === champion) return;
  throw new SentinelError("request.not-found", `version ${JSON.stringify(version)} of ${model} does not answer here`, {
    hint: `the champion is version ${champion}; leave the version out to follow it`,
  });
}
