// The shared feature state in Redis: a string a key, changed by compare-and-set over all keys of a transaction in one script.
import { randomUUID } from "node:crypto";
import { NEWEST_AT } from "../../../features/key-blob.ts";
import { STATE_LIMITS, type StateLimits } from "../../../features/limits.ts";
import type {
  SharedApplied,
  SharedHead,
  SharedKeys,
  SharedLayout,
  SharedPending,
  SharedStore,
} from "../../../ports/shared-store.ts";
import { createRedisClient, type RedisAddress, type RedisArgument } from "./client.ts";
import { eraseShared } from "./erase.ts";
import { ADD, APPLY, BEGIN, EXTEND, PAUSE, PENDING, READ, RETIRE, SWEEP, USE } from "./scripts.ts";

/** Records that wait for a log; beyond it nothing more is applied. */
const PENDING_MAX = 20_000;
/** In front of a key's bytes: the sequence of the change that wrote them. */
const VERSION_BYTES = 8;
const NO_VERSION = new Uint8Array(0);
const FIRST_VERSION = new Uint8Array(VERSION_BYTES);
/** In front of a pending record: its sequence, and when it was applied. */
const PENDING_HEAD_BYTES = 16;

/** `name` keeps what several pipelines store in one Redis apart; `limits` must be those of the states that are stored. */
export function createRedisState(options: {
  readonly address: RedisAddress;
  readonly name: string;
  readonly limits?: Partial<StateLimits>;
  readonly pendingMax?: number;
  readonly commandMsMax?: number;
}): SharedStore {
  const { name, pendingMax = PENDING_MAX } = options;
  const { latenessMs, idsMax } = { ...STATE_LIMITS, ...options.limits };
  const client = createRedisClient(options.address, options);
  // The braces keep all of it on one node of a cluster, as scripts over several keys need it.
  const key = (rest: string): string => `sentinel:{${name}}:${rest}`;
  const head = key("head");
  const pending = key("pending");
  const keysOf = ({ layout, keys }: SharedKeys): string[] => [
    key(`ids:${layout}:0`),
    key(`ids:${layout}:1`),
    ...keys.map(({ series, text }) => keyOf(layout, series, text)),
  ];
  // JSON escapes lone surrogates, which UTF-8 cannot tell apart.
  const keyOf = (layout: string, series: number, text: string): string =>
    key(`k:${layout}:${series}:${JSON.stringify(text)}`);
  const pendingFrom = async (field: string): Promise<SharedPending[]> => {
    const [now, ...pairs] = (await client.script(PENDING, [pending], [field])) as (Buffer | null)[];
    const found: SharedPending[] = [];
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const record = pairs[i + 1];
      if (record !== null) found.push(pendingOf(String(pairs[i]), record, Number(now)));
    }
    return found.sort((a, b) => a.sequence - b.sequence);
  };
  return {
    where: client.where,
    get connections() {
      return client.connections;
    },
    async head() {
      const fields = ["marker", "generation", "sequence", "version", "layouts", "newest"];
      const found = (await client.command("HMGET", head, ...fields)) as (Buffer | null)[];
      const [marker, generation, sequence, version, layouts, newest] = found;
      if (marker === null) return null;
      return {
        newestTime: newest === null ? null : Number(newest),
        marker: String(marker),
        generation: Number(generation),
        sequence: Number(sequence),
        version: Number(version),
        layouts: JSON.parse(String(layouts)) as SharedHead["layouts"],
      };
    },
    async begin({ replaces, marker, generation, sequence }) {
      return (await client.script(BEGIN, [head], [replaces ?? "", marker, generation, sequence])) === 1;
    },
    async prepare() {
      return String(await client.command("INCR", key("prepared")));
    },
    async fill(layout, keys) {
      await client.together(
        keys.map(({ series, text, bytes }) => [
          "SET",
          keyOf(layout, series, text),
          Buffer.concat([FIRST_VERSION, bytes]),
        ]),
      );
    },
    async add(layout, at) {
      const now = (await client.command("HGET", head, "layouts")) as Buffer | null;
      if (now === null) return false;
      const ids = [key(`ids:${layout.id}:0`), key(`ids:${layout.id}:1`)];
      const { lists, generation } = at.ids;
      for (const [which, list] of lists.entries()) {
        for (let from = 0; from < list.length; from += IDS_TOGETHER) {
          await client.command("SADD", ids[which], ...list.slice(from, from + IDS_TOGETHER));
        }
      }
      const kept = (JSON.parse(String(now)) as SharedLayout[]).filter(({ hash }) => hash !== layout.hash);
      const layouts = JSON.stringify([...kept, layout]);
      const watermark = Number.isFinite(at.watermark) ? at.watermark : "";
      const args = [at.marker, at.sequence, now, layouts, layout.id, watermark, generation ?? ""];
      return (await client.script(ADD, [head, ...ids], args)) === 1;
    },
    async pause(ms) {
      await client.script(PAUSE, [head], [ms]);
    },
    async lock(ms) {
      const token = randomUUID();
      const lock = key("lock");
      if ((await client.command("SET", lock, token, "PX", ms, "NX")) === null) return null;
      return {
        extend: async () => (await client.script(EXTEND, [lock], [token, ms])) === 1,
        release: async () => void (await client.script(EXTEND, [lock], [token, 0])),
      };
    },
    async read({ transactionId, layouts }) {
      const keys = [head, pending, ...layouts.flatMap(keysOf)];
      const id = transactionId ?? "";
      const args = [`t ${id}`, id, layouts.length, ...layouts.flatMap(({ layout, keys: own }) => [layout, own.length])];
      const [marker, version, record, ...rest] = (await client.script(READ, keys, args)) as (Buffer | number | null)[];
      let at = 0;
      const contents = layouts.map(({ keys: own }) => {
        const watermark = rest[at] === null ? Number.NEGATIVE_INFINITY : Number(rest[at]);
        const seen = rest[at + 1] === 1;
        const blobs = rest.slice(at + 2, at + 2 + own.length).map((blob) => splitBlob(blob as Buffer | null));
        at += 2 + own.length;
        return { watermark, seen, blobs };
      });
      return {
        marker: marker === null ? null : String(marker),
        version: Number(version),
        pending: record === null || transactionId === null ? null : pendingOf(`t ${id}`, record as Buffer, Number.NaN),
        contents,
      };
    },
    async apply(change) {
      const { transactionId, parts } = change;
      const keys = [head, pending, ...parts.flatMap(keysOf)];
      const args: RedisArgument[] = [change.marker, change.version, change.sequenceKnown, pendingMax];
      args.push(transactionId === null ? "" : `t ${transactionId}`, transactionId ?? "", change.record);
      args.push(Math.max(1, latenessMs), Math.max(1, idsMax >> 1), parts.length);
      for (const { layout, learnedAt, watermarkMax, seen, keys: own } of parts) {
        args.push(layout, learnedAt ?? "", Number.isFinite(watermarkMax) ? watermarkMax : "", seen ? 1 : 0, own.length);
        for (const { version, bytes } of own) args.push(version, bytes === null ? 0 : 1, bytes ?? "");
      }
      const [outcome, detail] = (await client.script(APPLY, keys, args)) as [Buffer, (Buffer | number)?];
      const word = String(outcome) as SharedApplied["outcome"];
      if (word === "applied") return { outcome: word, sequence: Number(detail) };
      if (word !== "repeated") return { outcome: word };
      return { outcome: word, pending: pendingOf(`t ${transactionId}`, detail as Buffer, Number.NaN) };
    },
    pending: () => pendingFrom(""),
    pendingOf: async (transactionId) => (await pendingFrom(`t ${transactionId}`))[0] ?? null,
    erase: async (of) => {
      const layouts = (await client.command("HGET", head, "layouts")) as Buffer | null;
      const known = layouts === null ? [] : (JSON.parse(String(layouts)) as readonly SharedLayout[]);
      return eraseShared(client, of, { prefix: key(""), layouts: known });
    },
    async settle(fields) {
      for (let from = 0; from < fields.length; from += IDS_TOGETHER) {
        await client.command("HDEL", pending, ...fields.slice(from, from + IDS_TOGETHER));
      }
    },
    async risk() {
      const info = String(await client.command("INFO", "memory"));
      const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "noeviction";
      if (!policy.startsWith("allkeys")) return null;
      const found = `maxmemory-policy ${policy}: when memory is short it evicts keys, and features go wrong silently`;
      return {
        found,
        todo: "set maxmemory-policy to noeviction: when memory is short answers then come from the policy",
      };
    },
    async sweep(layouts, everyMs) {
      if ((await client.command("SET", key("sweeper"), "", "PX", everyMs, "NX")) === null) return 0;
      const cursor = (await client.command("GET", key("sweep"))) ?? "0";
      const match = key("k:*");
      const scan = await client.command("SCAN", String(cursor), "MATCH", match, "COUNT", SWEEP_KEYS);
      const [next, keys] = scan as [Buffer, Buffer[]];
      await client.command("SET", key("sweep"), String(next));
      const retention = new Map(layouts.map(({ id, retentionMs }) => [id, retentionMs]));
      const texts = keys.map(String);
      const args = texts.flatMap((text) => {
        const [id, series] = text.slice(match.length - 1).split(":", 2);
        return [id, retention.get(id)?.[Number(series)] ?? ""];
      });
      return texts.length === 0
        ? 0
        : Number(await client.script(SWEEP, [head, key("lock"), ...texts], [VERSION_BYTES + NEWEST_AT, ...args]));
    },
    async use(used, ms) {
      const [now, list, ...since] = (await client.script(USE, [head], used)) as (Buffer | null)[];
      if (list === null) return;
      const layouts = JSON.parse(String(list)) as SharedLayout[];
      const gone = layouts
        .filter(({ id }, i) => !used.includes(id) && Number(now) - Number(since[i]) > ms)
        .map(({ id }) => id);
      if (gone.length === 0) return;
      const kept = JSON.stringify(layouts.filter(({ id }) => !gone.includes(id)));
      const ids = gone.flatMap((id) => [key(`ids:${id}:0`), key(`ids:${id}:1`)]);
      await client.script(RETIRE, [head, ...ids], [list, kept, ...gone]);
    },
    close: () => client.close(),
  };
}

/** Keys looked at in one portion: well under a millisecond of Redis. */
const SWEEP_KEYS = 500;

/** Arguments of one command, well below what blocks Redis for a millisecond. */
const IDS_TOGETHER = 1000;

function splitBlob(blob: Buffer | null): { readonly version: Uint8Array; readonly bytes: Uint8Array | null } {
  if (blob === null) return { version: NO_VERSION, bytes: null };
  return { version: blob.subarray(0, VERSION_BYTES), bytes: blob.subarray(VERSION_BYTES) };
}

function pendingOf(field: string, record: Buffer, now: number): SharedPending {
  return {
    field,
    sequence: record.readDoubleBE(0),
    ageMs: now - record.readDoubleBE(8),
    record: record.subarray(PENDING_HEAD_BYTES),
  };
}
