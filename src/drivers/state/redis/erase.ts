// A person is erased from the shared state in Redis: keys by RENAME, ids and bytes by compare-and-set, while servers apply changes.
import type { Erased } from "../../../core/erasure.ts";
import type { SharedErasure, SharedLayout } from "../../../ports/shared-store.ts";
import type { RedisClient } from "./client.ts";

/** Keys looked at in one round trip. */
const LOOKED_KEYS = 500;
/** In front of a key's bytes. */
const VERSION_BYTES = 8;
/** Bytes that are still those that were read, and nothing newer. */
const SWAP = `if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("SET", KEYS[1], ARGV[2]) return 1 end return 0`;
const RENAME = `if redis.call("EXISTS", KEYS[1]) == 1 then redis.call("RENAME", KEYS[1], KEYS[2]) end return 0`;

export async function eraseShared(
  client: RedisClient,
  of: SharedErasure,
  at: { readonly prefix: string; readonly layouts: readonly SharedLayout[] },
): Promise<readonly Erased[]> {
  const found = { keys: 0, ids: 0, pending: 0 };
  let cursor = "0";
  do {
    const scan = await client.command("SCAN", cursor, "MATCH", `${globbed(at.prefix)}*`, "COUNT", LOOKED_KEYS);
    const [next, keys] = scan as [Buffer, Buffer[]];
    cursor = String(next);
    for (const key of keys.map(String)) {
      const rest = key.slice(at.prefix.length);
      if (rest.startsWith("k:")) found.keys += await eraseKey(client, of, { ...at, key, rest });
      else if (rest.startsWith("ids:")) found.ids += await eraseIds(client, of, key);
      else if (rest === "pending") found.pending += await waiting(client, of, key);
    }
  } while (cursor !== "0");
  return Object.entries(found).map(([what, count]) => ({ what, found: count }));
}

async function eraseKey(
  client: RedisClient,
  of: SharedErasure,
  at: {
    readonly prefix: string;
    readonly layouts: readonly SharedLayout[];
    readonly key: string;
    readonly rest: string;
  },
): Promise<number> {
  const [, id, series, json] = /^k:([^:]*):(\d+):(.*)$/s.exec(at.rest) ?? [];
  if (json === undefined) return 0;
  const layout = at.layouts.find((one) => one.id === id) ?? null;
  const text = of.key(layout, Number(series), JSON.parse(json) as string);
  if (text !== null) {
    // A key that a server removes meanwhile is gone, which will do.
    if (of.write) {
      const to = `${at.prefix}k:${id}:${series}:${JSON.stringify(text)}`;
      await client.script(RENAME, [at.key, to], []);
    }
    return 1;
  }
  const bytes = (await client.command("GET", at.key)) as Buffer | null;
  const after = bytes === null ? null : of.bytes(bytes.subarray(VERSION_BYTES));
  if (bytes === null || after === null) return 0;
  // What a server changed in this moment is found by the next look.
  if (of.write) await client.script(SWAP, [at.key], [bytes, Buffer.concat([bytes.subarray(0, VERSION_BYTES), after])]);
  return 1;
}

async function eraseIds(client: RedisClient, of: SharedErasure, key: string): Promise<number> {
  let [cursor, found] = ["0", 0];
  do {
    const [next, ids] = (await client.command("SSCAN", key, cursor, "COUNT", LOOKED_KEYS)) as [Buffer, Buffer[]];
    cursor = String(next);
    for (const id of ids.map(String)) {
      const after = of.id(id);
      if (after === null) continue;
      found++;
      if (!of.write) continue;
      await client.together([
        ["SREM", key, id],
        ["SADD", key, after],
      ]);
    }
  } while (cursor !== "0");
  return found;
}

async function waiting(client: RedisClient, of: SharedErasure, key: string): Promise<number> {
  const values = (await client.command("HGETALL", key)) as readonly Buffer[];
  return values.filter((value) => of.record(value.toString("utf8")) !== null).length;
}

/** A name in a pattern of keys. */
function globbed(text: string): string {
  return text.replace(/[*?[\]\\]/g, "\\$&");
}
