// Server reflection: what the door offers, for clients that have no copy of its contract, such as grpcurl; both versions of the protocol.
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import { SentinelError } from "../core/errors.ts";
import { type Aside, stopping } from "./aside.ts";
import { type Door, decoded } from "./calls.ts";
import type { MessageType } from "./contract.ts";
import type { DescriptorFiles } from "./descriptors.ts";

export const REFLECTION_TERMS = { need: "open", shed: false, streams: true } as const;

/** Requests of one stream. */
const REQUESTS_MAX = 10_000;

/** ServerReflectionInfo as grpc-js calls it. */
export function reflection(
  door: Door,
  of: {
    readonly aside: Aside;
    readonly files: DescriptorFiles;
    readonly services: readonly string[];
    readonly type: MessageType;
  },
): (call: ServerDuplexStream<Buffer, object>) => void {
  return (call) => {
    const admitted = door.admission.of(call.metadata);
    let left = REQUESTS_MAX;
    const end = (error: unknown): void => {
      admitted.ended(error);
      call.emit("error", door.statuses.of(error, admitted.id));
    };
    let leave = (): void => {};
    try {
      leave = of.aside.enter(() => end(stopping()));
    } catch (error) {
      end(error);
      return;
    }
    call.once("cancelled", leave);
    call.on("data", (bytes: Buffer) => {
      try {
        if (left-- === 0) throw tooManyRequests();
        const request = decoded(of.type, bytes);
        const goesOn = call.write({ original_request: request, ...answerOf(request, of) });
        if (goesOn) return;
        // Who does not read is not read.
        call.pause();
        call.once("drain", () => call.resume());
      } catch (error) {
        leave();
        end(error);
      }
    });
    call.on("end", () => {
      leave();
      admitted.ended(null);
      call.end();
    });
  };
}

interface ReflectionRequest {
  readonly message_request?: string;
  readonly file_by_filename?: string;
  readonly file_containing_symbol?: string;
}

function answerOf(
  request: ReflectionRequest,
  { files, services }: { readonly files: DescriptorFiles; readonly services: readonly string[] },
): object {
  switch (request.message_request) {
    case "list_services":
      return { list_services_response: { service: services.map((name) => ({ name })) } };
    case "file_by_filename":
      return filesResponse(files.byName(request.file_by_filename!), `file ${request.file_by_filename}`);
    case "file_containing_symbol":
      return filesResponse(files.bySymbol(request.file_containing_symbol!), `symbol ${request.file_containing_symbol}`);
    // proto3 has no extensions.
    case "file_containing_extension":
    case "all_extension_numbers_of_type":
      return errorResponse(status.NOT_FOUND, "there are no extensions");
    default:
      return errorResponse(status.INVALID_ARGUMENT, "the request asks for nothing");
  }
}

function filesResponse(files: readonly Buffer[] | null, what: string): object {
  if (files !== null) return { file_descriptor_response: { file_descriptor_proto: files } };
  return errorResponse(status.NOT_FOUND, `there is no ${what}`);
}

function errorResponse(code: status, message: string): object {
  return { error_response: { error_code: code, error_message: message } };
}

function tooManyRequests(): SentinelError {
  return new SentinelError("request.body-too-large", `the stream has more than ${REQUESTS_MAX} requests`, {
    hint: "go on in a new call",
  });
}
