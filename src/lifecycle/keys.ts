// Keys: service keys made, listed and revoked. A key is shown once; what is kept is its hash.
import { SentinelError } from "../core/errors.ts";
import { isValid, KEYS_MAX, type KeyRecord, newKey, PERSON_PREFIX, type RateLimit, type Role } from "../core/key.ts";
import type { KeyStore } from "../ports/keys.ts";
import type { Ports } from "../ports/ports.ts";

/** Where keys are kept and changed one change at a time. */
export type KeyPorts = Pick<Ports, "clock" | "keys" | "lock">;

/** What may be shown of a key. */
export type KeyShown = Omit<KeyRecord, "hash"> & { readonly state: "valid" | "expired" | "revoked" };

/** Makes a key. Several of one name and role are valid side by side, so that a key is changed without a gap. Errors: keys.limit, keys.name. */
export async function addKey(
  ports: KeyPorts,
  input: {
    readonly role: Role;
    readonly name: string;
    readonly actor: string;
    /** null: it does not expire. */
    readonly validMs: number | null;
    readonly rate: RateLimit | null;
    /** null: it is for all pipelines. */
    readonly pipelines?: readonly string[] | null;
    readonly random: (bytes: number) => Uint8Array;
  },
): Promise<{ readonly key: string; readonly record: KeyShown }> {
  const { role, name, actor, validMs, rate, pipelines = null, random } = input;
  if (name.trim().toLowerCase().startsWith(PERSON_PREFIX)) {
    throw new SentinelError("keys.name", `a key cannot be called ${JSON.stringify(name)}`, {
      hint: `${PERSON_PREFIX} stands before the names of persons who log in by an identity provider: audit and cases would take the key for one of them`,
    });
  }
  const now = ports.clock.now();
  const { id, key, hash } = newKey(random);
  const expiresAt = validMs === null ? null : now + validMs;
  const record: KeyRecord = {
    id,
    name,
    role,
    hash,
    createdAt: now,
    createdBy: actor,
    expiresAt,
    revokedAt: null,
    rate,
    ...(pipelines === null ? {} : { pipelines }),
  };
  await changed(ports, (keys) => {
    if (keys.length < KEYS_MAX) return [...keys, record];
    // The one that was revoked first makes room; valid ones never do.
    const old = keys.findIndex((one) => !isValid(one, now));
    if (old >= 0) return [...keys.filter((_, i) => i !== old), record];
    throw new SentinelError("keys.limit", `there are ${keys.length} valid keys`, { hint: "revoke those nobody uses" });
  });
  return { key, record: shown(record, now) };
}

/** All keys, without what would let anybody in. */
export async function listKeys(ports: KeyPorts): Promise<readonly KeyShown[]> {
  const now = ports.clock.now();
  return (await (await storeOf(ports)).read()).map((record) => shown(record, now));
}

/** Ends a key's validity; one that is revoked already stays as it is. Errors: keys.unknown. */
export async function revokeKey(ports: KeyPorts, id: string): Promise<KeyShown> {
  const now = ports.clock.now();
  let revoked: KeyRecord | undefined;
  await changed(ports, (keys) =>
    keys.map((record) => {
      if (record.id !== id) return record;
      revoked = { ...record, revokedAt: record.revokedAt ?? now };
      return revoked;
    }),
  );
  if (revoked !== undefined) return shown(revoked, now);
  throw new SentinelError("keys.unknown", `there is no key with id ${JSON.stringify(id)}`, {
    hint: "`sentinel keys list` shows the ids",
  });
}

async function changed(ports: KeyPorts, change: (keys: readonly KeyRecord[]) => readonly KeyRecord[]): Promise<void> {
  const store = await storeOf(ports);
  const lock = await (await ports.lock()).acquire("keys");
  try {
    await store.write(change(await store.read()));
  } finally {
    await lock.release();
  }
}

async function storeOf(ports: KeyPorts): Promise<KeyStore> {
  if (ports.keys !== undefined) return ports.keys();
  throw new SentinelError("config.invalid", "this workspace keeps no keys", { hint: "set SENTINEL_KEYS instead" });
}

function shown({ hash: _, ...record }: KeyRecord, now: number): KeyShown {
  const state =
    record.revokedAt !== null ? "revoked" : record.expiresAt !== null && now >= record.expiresAt ? "expired" : "valid";
  return { ...record, state };
}
