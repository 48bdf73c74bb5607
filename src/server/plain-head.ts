// Plain heads: the one shape of a request's head that is read without node:http. Whatever is not surely plain is not plain.
import { isIPv6 } from "node:net";

/** What a plain head says. */
export interface PlainHead {
  readonly path: string;
  /** Bytes of the body. */
  readonly length: number;
  /** By lower-case name; each came once. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Heads that are longer, or have more headers, are for node:http, whose limits count. */
export const PLAIN_HEAD_BYTES_MAX = 4096;
const HEADERS_MAX = 64;

/** Unreserved characters and slashes alone: a path that has one spelling, and no query. */
const LINE = /^POST (\/[\w./~-]*) HTTP\/1\.1\r\n/;
/** One header: a name of token characters, no space before the colon, visible ASCII, spaces and tabs (RFC 9110, 5.5 and 5.6.2). */
const HEADER = /([\w!#$%&'*+.^`|~-]+):[ \t]*([!-~](?:[ -~\t]*[!-~])?)?[ \t]*\r\n/y;
const LENGTH = /^\d{1,9}$/;
/** Digits and then the line's end: some readers take no space after a length. */
const LENGTH_LINE = /^content-length:[ \t]*\d+\r$/im;
/** A name or an IPv4 address, perhaps a port. */
const HOST = /^[\w.-]+(?::([1-9]\d{0,4}))?$/;
const HOST_6 = /^\[([\da-f:.]+)\](?::([1-9]\d{0,4}))?$/i;
const PORT_MAX = 65_535;
const TYPES: ReadonlySet<string> = new Set(["application/json", "application/json; charset=utf-8"]);
/** What browsers send: who asks by a session, and for which site's page, the app alone looks at. */
export const OF_BROWSERS = ["cookie", "origin", "sec-fetch-site"] as const;
/** Headers that change how a message is framed, answered or decoded, or who asks. */
const NOT_PLAIN: ReadonlySet<string> = new Set([
  ...OF_BROWSERS,
  "content-encoding",
  "expect",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Reads a head: request line and headers, each with its line end. Null unless it is that of a POST by HTTP/1.1 with a JSON body of known
 * length, in which nothing is repeated and nothing could be read in two ways.
 */
export function readPlainHead(text: string): PlainHead | null {
  const line = text.length > PLAIN_HEAD_BYTES_MAX ? null : LINE.exec(text);
  if (line === null) return null;
  const headers = new Map<string, string>();
  for (let at = line[0].length; at < text.length; at = HEADER.lastIndex) {
    HEADER.lastIndex = at;
    const found = HEADER.exec(text);
    if (found === null || headers.size === HEADERS_MAX) return null;
    const name = found[1].toLowerCase();
    if (headers.has(name) || NOT_PLAIN.has(name)) return null;
    headers.set(name, found[2] ?? "");
  }
  const length = headers.get("content-length") ?? "";
  if (!LENGTH.test(length) || !LENGTH_LINE.test(text) || !TYPES.has(headers.get("content-type") ?? "")) return null;
  if (!isPlainHost(headers.get("host") ?? "")) return null;
  if ((headers.get("connection") ?? "keep-alive").toLowerCase() !== "keep-alive") return null;
  return { path: line[1], length: Number(length), headers };
}

/** Whether a Host header surely names a host, so that nothing else need read it (RFC 9112, 3.2: another is refused). */
export function isPlainHost(text: string): boolean {
  const name = HOST.exec(text);
  if (name !== null) return Number(name[1] ?? 0) <= PORT_MAX;
  const six = HOST_6.exec(text);
  if (six === null || !isIPv6(six[1]) || Number(six[2] ?? 0) > PORT_MAX) return false;
  // One address has many spellings; the app takes the shortest alone, and so must every road.
  return new URL(`http://[${six[1]}]`).hostname === `[${six[1].toLowerCase()}]`;
}
