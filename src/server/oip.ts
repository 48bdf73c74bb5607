// GET /v2…, POST /v2/models/{model}/infer: the Open Inference Protocol v2, with Triton's extension for binary tensors.
import { SentinelError } from "../core/errors.ts";
import { batchBudgetMs } from "../online/answer.ts";
import { parseJson } from "../online/json.ts";
import {
  checkVersion,
  engineOfModel,
  inferTensors,
  OIP_EXTENSIONS,
  oipMetadata,
  readRequest,
  writeTensors,
} from "../online/oip.ts";
import { isAnyReady, readinessOf } from "../online/readiness.ts";
import { bodyBytes, decode, mediaType } from "./body.ts";
import {
  chargeOf,
  jsonResponse,
  type RequestContext,
  type Server,
  type ServerParts,
  type ServerRoute,
} from "./parts.ts";
import { ref } from "./schemas.ts";

const HEADER_LENGTH = "inference-header-content-length";
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
      jsonResponse({ name: "sentinel", version: server.packageVersion, extensions: OIP_EXTENSIONS }),
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
    runServer: (server) => {
      const ready = isAnyReady(server.pipelines.all()) || server.readyElsewhere?.() === true;
      return jsonResponse({ ready }, ready ? 200 : 503);
    },
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
      runServer: (server, context) => jsonResponse(oipMetadata(partsOf(server, context))),
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
  const inferring = inferTensors(parts, asked, chargeOf(parts, context));
  const answered = await parts.overload.within(inferring, batchBudgetMs(parts));
  const { outputs, raw: bytes } = writeTensors(answered.tensors, answered.shape);
  const head = {
    model_name: parts.pipeline.model,
    model_version: answered.version,
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

function binaryResponse(head: object, raw: Buffer): Response {
  const json = Buffer.from(JSON.stringify(head), "utf8");
  const headers = { "content-type": "application/octet-stream", [HEADER_LENGTH]: String(json.length) };
  return new Response(Buffer.concat([json, raw]), { headers });
}

/** The pipeline of the model that the path names. Throws `request.not-found`, `server.not-ready`, `server.key-role`. */
function partsOf({ pipelines, access }: Server, context: RequestContext): ServerParts {
  const parts = engineOfModel(pipelines, context.req.param("model")!);
  // /ready asks for no key at all.
  if (!context.req.path.endsWith("/ready")) access.checkPipeline(context.get("caller"), parts.pipeline.name);
  context.set("parts", parts);
  checkVersion(parts, context.req.param("version"));
  return parts;
}
