// Raw answers: problem documents for what never became a request, because the parser refused it.
import { type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { SentinelError } from "../core/errors.ts";
import { problemOf } from "../online/problem.ts";
import { problemHeaders } from "./problem.ts";
import { REQUEST_ID } from "./request-id.ts";
import type { SafetyHeaders } from "./safety.ts";

/** The problem behind a fault of Node's parser; null where nobody is left to tell. */
export function parserProblem(error: NodeJS.ErrnoException): SentinelError | null {
  const { code = "" } = error;
  if (code === "ECONNRESET" || code === "EPIPE") return null;
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return slowHead();
  if (code === "HPE_HEADER_OVERFLOW") {
    return new SentinelError("request.head-too-large", "the head of the request is larger than 16 KB", {
      hint: "send fewer or shorter headers",
    });
  }
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") {
    return new SentinelError("request.body-too-large", "the extensions of a chunk are larger than 16 KB", {
      hint: "send chunks without extensions",
    });
  }
  return new SentinelError(
    "request.malformed",
    `this is no HTTP request${code.startsWith("HPE_") ? ` (${code})` : ""}`,
    {
      hint: "send HTTP/1.1 as RFC 9112 has it, with TLS only where the server has a certificate",
    },
  );
}

/** A connection on which no head came in time. */
export function slowHead(): SentinelError {
  return new SentinelError("request.too-slow", "the head of the request did not come in time", {
    hint: "send the request again",
  });
}

/** What stands on a raw answer as on every other. */
interface RawHead {
  readonly safety: SafetyHeaders;
  readonly id: string;
  /** The methods that there are, where the one asked is none of them. */
  readonly allow?: string;
}

/** Writes a problem to the socket and ends it; gives the status, or null when an answer had begun already. */
export function endWithProblem(
  socket: Duplex & { readonly _httpMessage?: ServerResponse },
  error: SentinelError,
  { safety, id, allow }: RawHead,
): number | null {
  if (!socket.writable || socket._httpMessage?.headersSent === true) {
    socket.destroy();
    return null;
  }
  const problem = problemOf(error);
  const body = JSON.stringify(problem);
  const headers: readonly string[] = [
    ...Object.entries(problemHeaders(error, problem)).flat(),
    ...safety,
    ...(allow === undefined ? [] : ["allow", allow]),
    ...[REQUEST_ID, id, "content-length", String(Buffer.byteLength(body)), "Connection", "close"],
  ];
  let head = `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? "Error"}\r\n`;
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
  socket.end(`${head}\r\n${body}`);
  return problem.status;
}
