// The contract: the services and messages of proto/, read when the door opens. Requests stay bytes until their call is let in.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";

/** Files of the folder `proto/` that have a service, or messages that are sent within others. */
const FILES = [
  "sentinel/v1/sentinel.proto",
  "open_inference_grpc.proto",
  "grpc/health/v1/health.proto",
  "grpc/reflection/v1/reflection.proto",
  "grpc/reflection/v1alpha/reflection.proto",
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
];
/** All of them and what they import, as protoc compiles them (`scripts/proto`): what reflection serves. */
const DESCRIPTORS = "reflection.binpb";

/** A message as plain data: fields by the names of the file, 64-bit integers as text, absent ones absent, lists always there. */
export type Message = Readonly<Record<string, unknown>>;

export interface MessageType {
  encode(message: object): Buffer;
  /** Throws for bytes that are no such message. */
  decode(bytes: Buffer): Message;
}

/** A service whose requests are bytes and whose answers are messages. */
export type RawService = Readonly<Record<string, MethodDefinition<Buffer, object>>>;

export interface Contract {
  /** By its full name. */
  service(name: string): RawService;
  message(name: string): MessageType;
  /** The type of a method's requests. */
  requestOf(service: string, method: string): MessageType;
  /** A FileDescriptorSet. */
  readonly descriptors: Buffer;
}

/** Reads the contract from the package's folder `proto/`. */
export function loadContract(folder: string): Contract {
  const options = { keepCase: true, longs: String, enums: String, arrays: true, oneofs: true, includeDirs: [folder] };
  const loaded = loadSync(FILES as string[], options);
  const serviceOf = (name: string): ServiceDefinition => loaded[name] as ServiceDefinition;
  const typeOf = ({ serialize, deserialize }: MessageTypeDefinition<object, object>): MessageType => ({
    encode: serialize,
    decode: (bytes) => deserialize(bytes) as Message,
  });
  return {
    service: (name) =>
      Object.fromEntries(
        Object.entries(serviceOf(name)).map(([method, definition]) => [
          method,
          { ...definition, requestDeserialize: (bytes: Buffer) => bytes },
        ]),
      ),
    message: (name) => typeOf(loaded[name] as MessageTypeDefinition<object, object>),
    requestOf(service, method) {
      const { requestType } = (loaded[service] as Readonly<Record<string, { readonly requestType: unknown }>>)[method];
      return typeOf(requestType as MessageTypeDefinition<object, object>);
    },
    descriptors: readFileSync(path.join(folder, DESCRIPTORS)),
  };
}
