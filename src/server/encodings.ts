// Content-Encoding of a request: gzip, deflate and br are undone, within the body's limit; any other is refused by name.
import { type Duplex, pipeline, type Readable } from "node:stream";
import zlib from "node:zlib";
import { messageOf, SentinelError } from "../core/errors.ts";

export type Encoding = "gzip" | "deflate" | "br";

/** The encodings taken, as Accept-Encoding names them. */
export const ENCODINGS = "gzip, deflate, br";

/** How the body is encoded; null: as it is. Throws `request.media-type`. */
export function encodingOf(header: string | null | undefined): Encoding | null {
  const given = (header ?? "").trim().toLowerCase();
  if (given === "" || given === "identity") return null;
  if (given === "gzip" || given === "x-gzip") return "gzip";
  if (given === "deflate" || given === "br") return given;
  throw new SentinelError(
    "request.media-type",
    `the body has Content-Encoding ${JSON.stringify(given.slice(0, 100))}`,
    {
      hint: `send it as ${ENCODINGS.replaceAll(", ", " or ")}, once, or without Content-Encoding`,
    },
  );
}

type Whole = (
  bytes: Uint8Array,
  options: { readonly maxOutputLength: number },
  done: (error: Error | null, decoded: Buffer) => void,
) => void;

const WHOLE: Readonly<Record<Encoding, Whole>> = {
  gzip: zlib.gunzip,
  deflate: zlib.inflate,
  br: zlib.brotliDecompress,
};

/** The body decoded, off the event loop; null when it would be more than `bytesMax`. Throws `request.malformed`. */
export async function decodeBody(bytes: Uint8Array, encoding: Encoding, bytesMax: number): Promise<Uint8Array | null> {
  const undo = (whole: Whole): Promise<Buffer | null> =>
    new Promise((resolve, reject) => {
      whole(bytes, { maxOutputLength: bytesMax }, (error, decoded) => {
        if (error === null) resolve(decoded);
        else if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") resolve(null);
        else reject(notEncoded(encoding, error));
      });
    });
  // Some clients send "deflate" without zlib's two bytes in front, which is what the name says.
  if (encoding === "deflate" && !hasZlibHeader(bytes)) return undo(zlib.inflateRaw);
  return undo(WHOLE[encoding]);
}

/** RFC 1950: the method is 8, and both bytes together are a multiple of 31. */
function hasZlibHeader(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && (bytes[0] & 15) === 8 && ((bytes[0] << 8) | bytes[1]) % 31 === 0;
}

/** The chunks of a stream decoded as they are read; what is not read is not decoded. Here deflate is what RFC 9110 says, with zlib's head. */
export function decodeStream(source: Readable, encoding: Encoding): Readable {
  // The stream itself gives its faults to whoever reads it.
  return pipeline(source, DECODERS[encoding](), () => {});
}

const DECODERS: Readonly<Record<Encoding, () => Duplex>> = {
  gzip: zlib.createGunzip,
  deflate: zlib.createInflate,
  br: zlib.createBrotliDecompress,
};

export function notEncoded(encoding: Encoding, error: unknown): SentinelError {
  return new SentinelError(
    "request.malformed",
    `the body is not ${encoding}, as Content-Encoding says: ${messageOf(error)}`,
    {
      hint: "encode the whole body once, or leave Content-Encoding out",
      cause: error,
    },
  );
}
