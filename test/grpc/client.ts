// A gRPC client for tests, made of the package's own contract: calls by name, answers and errors as plain data.
import type { EventEmitter } from "node:events";
import path from "node:path";
import { fileURLToPath } from "node:url";
import {
  type CallOptions,
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import { loadSync, type MethodDefinition, type PackageDefinition } from "@grpc/proto-loader";
import { type GrpcDoor, openGrpc } from "../../src/grpc/door.ts";
import type { GrpcTls } from "../../src/grpc/listen.ts";
import type { SentinelServer } from "../../src/server/server.ts";

export const PROTO = fileURLToPath(new URL("../../proto", import.meta.url));

/** Opens the door of a started server on a free port. */
export function attach(server: SentinelServer, tls: GrpcTls | null = null): Promise<GrpcDoor> {
  return server.attach("127.0.0.1", (parts) =>
    openGrpc(parts, { host: "127.0.0.1", port: 0, tls, protoFolder: PROTO }),
  );
}

const FILES = ["sentinel/v1/sentinel.proto", "open_inference_grpc.proto", "grpc/health/v1/health.proto"];
const DEFINITIONS: PackageDefinition = loadSync(
  [...FILES, "google/rpc/status.proto", "google/rpc/error_details.proto"],
  {
    keepCase: true,
    longs: String,
    enums: String,
    includeDirs: [path.join(PROTO)],
  },
);

/** What a call came to; a refusal with all that its trailing metadata hold. */
export interface Outcome {
  // biome-ignore lint: the answer of any method.
  readonly answer?: Readonly<Record<string, any>>;
  readonly status: string;
  readonly details: string;
  readonly trailer: Metadata;
}

export interface TestClient {
  call(
    method: string,
    request: object,
    options?: { readonly headers?: Record<string, string> } & CallOptions,
  ): Promise<Outcome>;
  /** A call whose request is these bytes. */
  raw(method: string, request: Buffer): Promise<Outcome>;
  watch(method: string, request: object): ClientReadableStream<Readonly<Record<string, unknown>>>;
  stream(
    method: string,
    headers?: Record<string, string>,
    options?: CallOptions,
  ): ClientDuplexStream<object, Readonly<Record<string, unknown>>>;
  close(): void;
}

export function clientOf(
  door: { readonly host: string; readonly port: number },
  { secure = credentials.createInsecure(), ...options }: { readonly secure?: ChannelCredentials } & ChannelOptions = {},
): TestClient {
  const client = new Client(`${door.host}:${door.port}`, secure, options);
  const unary = (
    { path: at, requestSerialize, responseDeserialize }: MethodDefinition<object, object>,
    request: object,
    { headers = {}, ...callOptions }: { readonly headers?: Record<string, string> } & CallOptions = {},
  ): Promise<Outcome> => {
    return new Promise((resolve) => {
      let answer: Outcome["answer"];
      const call = client.makeUnaryRequest(
        at,
        requestSerialize,
        responseDeserialize,
        request,
        metadataOf(headers),
        callOptions,
        (_: ServiceError | null, value?: object) => {
          answer = value;
        },
      );
      call.on("status", ({ code, details, metadata }) => {
        setImmediate(() =>
          resolve({ ...(answer === undefined ? {} : { answer }), status: status[code], details, trailer: metadata }),
        );
      });
    });
  };
  return {
    call: (method, request, options) => unary(methodOf(method), request, options),
    raw: (method, request) => unary({ ...methodOf(method), requestSerialize: (bytes) => bytes as Buffer }, request),
    watch(method, request) {
      const { path: at, requestSerialize, responseDeserialize } = methodOf(method);
      const deserialize = responseDeserialize as (bytes: Buffer) => Readonly<Record<string, unknown>>;
      return client.makeServerStreamRequest(at, requestSerialize, deserialize, request);
    },
    stream(method, headers = {}, options = {}) {
      const { path: at, requestSerialize, responseDeserialize } = methodOf(method);
      return client.makeBidiStreamRequest(
        at,
        requestSerialize,
        responseDeserialize as (bytes: Buffer) => Readonly<Record<string, unknown>>,
        metadataOf(headers),
        options,
      );
    },
    close: () => client.close(),
  };
}

/** Names of a message's fields. */
export function fieldsOf(message: string): readonly string[] {
  const { type } = DEFINITIONS[message] as unknown as {
    readonly type: { readonly field: { readonly name: string }[] };
  };
  return type.field.map(({ name }) => name);
}

/** How a stream ends. */
export function endOf(call: EventEmitter): Promise<StatusObject> {
  return new Promise((resolve) => {
    call.on("error", () => {}).once("status", resolve);
  });
}

function methodOf(name: string): MethodDefinition<object, object> {
  const [service, method] = name.split("/");
  return (DEFINITIONS[service] as Readonly<Record<string, MethodDefinition<object, object>>>)[method];
}

function metadataOf(headers: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

/** The details of a refusal by their type, as clients of the richer error model read them. */
export function detailsOf({
  trailer,
}: Pick<Outcome, "trailer">): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const [bytes] = trailer.get("grpc-status-details-bin");
  const decode = (type: string, from: Buffer): Readonly<Record<string, unknown>> =>
    (DEFINITIONS[type] as unknown as { deserialize(bytes: Buffer): Readonly<Record<string, unknown>> }).deserialize(
      from,
    );
  const whole = decode("google.rpc.Status", bytes as Buffer) as {
    readonly details: readonly { readonly type_url: string; readonly value: Buffer }[];
  };
  return Object.fromEntries(
    whole.details.map(({ type_url: url, value }) => {
      const type = url.slice(url.indexOf("/") + 1);
      return [type, decode(type, value)];
    }),
  );
}

/** A JSON value as a google.protobuf.Value. */
export function structValueOf(value: unknown): object {
  if (value === null) return { nullValue: 0 };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(structValueOf) } };
  return { structValue: structOf(value as Record<string, unknown>) };
}

/** A JSON object as a google.protobuf.Struct. */
export function structOf(record: Readonly<Record<string, unknown>>): object {
  return { fields: Object.fromEntries(Object.entries(record).map(([name, value]) => [name, structValueOf(value)])) };
}

export const jsonOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value), "utf8");
