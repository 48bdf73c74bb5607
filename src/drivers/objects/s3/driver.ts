// Objects in a bucket of an S3-compatible store: conditional writes, whole objects, nothing that needs a rename.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SentinelError } from "../../../core/errors.ts";
import type { BucketPlace } from "../../../core/remote.ts";
import type { ObjectBody, ObjectStore, StoredObject } from "../../../ports/objects.ts";
import { missing } from "../errors.ts";
import { stableList } from "../stable.ts";
import { createS3Client, type S3Login, type S3Patience, type S3Request, unreachable, xmlText } from "./client.ts";

/** Requests at a time, where several go out. */
const AT_ONCE = 8;
/** A store's own limit of one PUT and one copy. */
const OBJECT_BYTES_MAX = 5_000_000_000;
/** Who may not ask for a bucket's settings, and a store that has none. */
const SAYS_NOTHING: readonly number[] = [400, 403, 404, 405, 501];
/** A larger file is sent as it is read. */
const READ_BYTES_MAX = 67_108_864;
/** Answers of one listing. */
const PAGES_MAX = 10_000;
/** What stores allow. */
const PAGE_KEYS = 1000;

/** Objects below a prefix of a bucket. The store must honour `If-None-Match: *` where several servers archive one log. */
export function createS3Objects(options: {
  readonly place: BucketPlace;
  readonly login: S3Login;
  readonly patience?: S3Patience;
  /** Objects that one answer lists at most. */
  readonly pageKeys?: number;
  /** A larger file is sent as it is read. */
  readonly readBytesMax?: number;
}): ObjectStore {
  const { place, pageKeys = PAGE_KEYS, readBytesMax = READ_BYTES_MAX } = options;
  const client = createS3Client(options);
  const root = place.prefix === "" ? "" : `${place.prefix}/`;
  const where = `s3://${place.bucket}/${place.prefix}`;
  const ignored = async (answer: Response): Promise<number> => {
    await answer.arrayBuffer();
    return answer.status;
  };
  const exists = async (key: string): Promise<boolean> =>
    (await client.ask({ method: "HEAD", key: `${root}${key}`, also: [404] }, ignored)) !== 404;
  const removeOne = (key: string): Promise<number> =>
    client.ask({ method: "DELETE", key: `${root}${key}`, also: [404] }, ignored);
  return {
    where,
    keepsVersions: () =>
      client.ask({ method: "GET", key: "", query: { versioning: "" }, also: SAYS_NOTHING }, async (answer) => {
        const text = await answer.text();
        // Suspended: no new ones, and those of before stay.
        return answer.ok ? (xmlText(text, "Status") ?? "") !== "" : "unknown";
      }),
    list: (prefix) => stableList(() => listAll(prefix)),
    read: (key) =>
      client.ask({ method: "GET", key: `${root}${key}`, also: [404] }, async (answer) => {
        const bytes = new Uint8Array(await answer.arrayBuffer());
        return answer.status === 404 ? null : bytes;
      }),
    async create(key, body) {
      const status = await client.ask(
        {
          method: "PUT",
          key: `${root}${key}`,
          headers: { "if-none-match": "*" },
          ...(await bodyOf(body, key)),
          also: [412],
        },
        ignored,
      );
      return status !== 412;
    },
    async replace(key, body) {
      await client.ask({ method: "PUT", key: `${root}${key}`, ...(await bodyOf(body, key)) }, ignored);
    },
    async move(from, to) {
      if (!(await exists(from))) return;
      if (!(await exists(to))) {
        const source = `/${place.bucket}/${root}${from}`.split("/").map(encodeURIComponent).join("/");
        await client.ask(
          { method: "PUT", key: `${root}${to}`, headers: { "x-amz-copy-source": source } },
          async (answer) => {
            // A copy that breaks off after its answer began says so in the body.
            const text = await answer.text();
            if (text.includes("<Error>")) throw unreachable(place, `${where}/${to}: ${xmlText(text, "Code")}`);
          },
        );
      }
      await removeOne(from);
    },
    async remove(keys) {
      await inGroups(keys, async (key) => void (await removeOne(key)));
    },
    async file(key, folder) {
      const file = path.join(folder, key.replaceAll("/", "~"));
      await client.ask(
        { method: "GET", key: `${root}${key}`, also: [404], bytes: OBJECT_BYTES_MAX / 10 },
        async (answer) => {
          if (answer.status === 404 || answer.body === null) throw missing(`${where}/${key}`);
          await pipeline(
            Readable.fromWeb(answer.body as import("node:stream/web").ReadableStream),
            createWriteStream(file),
          );
          const length = answer.headers.get("content-length");
          const { size } = await stat(file);
          if (length !== null && Number(length) !== size)
            throw unreachable(place, `${where}/${key} broke off after ${size} of ${length} bytes`);
        },
      );
      return file;
    },
    async scratch(work) {
      const folder = await mkdtemp(path.join(tmpdir(), "sentinel-archive-"));
      try {
        return await work(folder);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
  };

  async function bodyOf(body: ObjectBody, key: string): Promise<Required<Pick<S3Request, "body" | "sha256">>> {
    const hash = createHash("sha256");
    if ("bytes" in body) {
      const blob = new Blob([body.bytes as Uint8Array<ArrayBuffer>]);
      return { body: blob, sha256: hash.update(body.bytes).digest("hex") };
    }
    const { file } = body;
    for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
    const { size } = await stat(file);
    if (size > OBJECT_BYTES_MAX) {
      throw new SentinelError(
        "archive.unwritable",
        `${where}/${key} would have ${size} bytes, more than one object may have`,
        { hint: "this should not happen: files of an archive are made smaller" },
      );
    }
    // Nearly all are small.
    const whole = size <= readBytesMax ? new Blob([await readFile(file)]) : { file, size };
    return { body: whole, sha256: hash.digest("hex") };
  }

  async function listAll(prefix: string): Promise<readonly StoredObject[]> {
    const found: StoredObject[] = [];
    let token: string | null = null;
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const query: Record<string, string> = {
        "list-type": "2",
        prefix: `${root}${prefix}`,
        "encoding-type": "url",
        "max-keys": String(pageKeys),
      };
      if (token !== null) query["continuation-token"] = token;
      const page = await client.ask({ method: "GET", key: "", query }, (answer) => answer.text());
      for (const [, entry] of page.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const key = decodeURIComponent((xmlText(entry, "Key") ?? "").replaceAll("+", "%20"));
        const bytes = Number(xmlText(entry, "Size") ?? 0);
        found.push({ key: key.slice(root.length), bytes, version: xmlText(entry, "ETag") ?? String(bytes) });
      }
      token = xmlText(page, "NextContinuationToken");
      if (token === null) break;
    }
    return found.sort((a, b) => (a.key < b.key ? -1 : 1));
  }
}

async function inGroups<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < all.length; i += AT_ONCE) await Promise.all(all.slice(i, i + AT_ONCE).map(work));
}
