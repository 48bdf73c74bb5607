// Forget: a person's value leaves every store of a workspace, in place and under a receipt; a receipt is checked by searching again.
import path from "node:path";
import { ERASED_LENGTH_MAX, type Erased, type Eraser, erasedHash, eraserOf, searcherOf } from "../core/erasure.ts";
import { SentinelError } from "../core/errors.ts";
import { escapeHtml } from "../core/html.ts";
import type { Tenant } from "../core/tenant.ts";
import { erasedKey, type IdentitySwap, identitySwaps, swapped } from "../features/erase.ts";
import { drainPending } from "../online/states.ts";
import { nameFolder } from "../pipeline/names.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { personalNames, spellingsOf } from "../pipeline/privacy.ts";
import type { Ports } from "../ports/ports.ts";
import type { SharedLayout } from "../ports/shared-store.ts";
import type { Store } from "../ports/store.ts";
import { archiveLock } from "./archive/write.ts";
import { eraseFromArchive } from "./forget/archive.ts";
import { eraseFromFiles } from "./forget/files.ts";
import {
  begin,
  end,
  type ForgottenPlace,
  keepBegun,
  type LeftPlace,
  type Receipt,
  receiptsOf,
  sealed,
  type WriteFile,
} from "./forget/receipt.ts";
import { type DataTable, eraseFromTables, isTable } from "./forget/tables.ts";
import { noteForgotten } from "./forgotten.ts";
import type { Forgotten } from "./replay.ts";
import { lockOfServer } from "./serve.ts";

export { type Receipt, readReceipt } from "./forget/receipt.ts";

/** One pipeline of the workspace. */
export interface ForgetPipeline {
  readonly pipeline: Pipeline;
  readonly ports: Ports;
  readonly schema: object | null;
}

/** Where a person may be. */
export interface ForgetPlaces {
  readonly workspace: string;
  readonly stateDir: string;
  readonly pipelines: readonly ForgetPipeline[];
  /** Every store, the ledger's own too where it is another one. */
  readonly stores: readonly Store[];
  /** Other tenants whose rows are in the same file as those of `stores`. */
  readonly neighbours: readonly { readonly tenant: Tenant; readonly store: Store }[];
  /** Writes a file so that it is there whole or not at all, also after a power cut. */
  readonly writeFile: WriteFile;
  /** Of topics on brokers: nothing can be erased there. */
  readonly topics: readonly LeftPlace[];
}

export interface ForgetInput extends ForgetPlaces {
  /** A column by any of its names; null: the one of each pipeline's card. */
  readonly column: string | null;
  readonly value: string;
  /** The value as a log that hashes it would write it (`log.redact`). */
  readonly hidden: readonly string[];
  readonly actor: string;
  readonly key: string;
  /** Tables under data/ are erased too. */
  readonly data: boolean;
  readonly at: number;
}

/** Looks and erasures of one run: what came in meanwhile is found by the next look. */
const ROUNDS_MAX = 4;

/**
 * Erases a person everywhere it can, and writes the receipt. Killed at any place and called again it goes on under the same receipt; called once more it
 * finds nothing. Errors: lifecycle.locked (a server has the state to itself), cli.usage, config.invalid, and those of every store.
 */
export async function forget(input: ForgetInput): Promise<{ readonly receipt: Receipt; readonly file: string }> {
  const { value, key, at } = input;
  checkValue(value);
  const names = namesOf(input.pipelines, input.column);
  const values = [value, ...input.hidden];
  const hashes = values.map((one) => erasedHash(one, key));
  const locks = await lockAll(input.pipelines);
  try {
    let begun = await begin(input, { values: hashes, at });
    const run = { receipt: begun.id, by: { actor: input.actor, at, reason: "a person is forgotten" } };
    const eraserFor = (own: Names): Eraser => eraserOf(values, { ...own, pseudonym: begun.pseudonym });
    const swaps = identitySwaps(values, begun.pseudonym);
    const bytes = spellings(values);
    let looked: Looked = await lookEverywhere(input, { eraserFor, names, swaps, bytes, run: null, data: input.data });
    const all = new Map<string, ForgottenPlace>(begun.places.map((place) => [keyOf(place), place]));
    for (let round = 0; ; round++) {
      // Always once with the right to write: a run that was killed before the files were made anew finds nothing to replace.
      looked = await lookEverywhere(input, { eraserFor, names, swaps, bytes, run, data: input.data });
      add(all, looked.places);
      begun = { ...begun, places: [...all.values()] };
      await keepBegun(input, begun);
      const again = await lookEverywhere(input, { eraserFor, names, swaps, bytes, run: null, data: input.data });
      if (again.places.every(({ found }) => found === 0)) {
        looked = { ...again, data: looked.data };
        break;
      }
      if (round === ROUNDS_MAX) {
        looked = { ...again, left: [...again.left, ...again.places.filter(({ found }) => found > 0).map(cameBack)] };
        break;
      }
    }
    const { id } = begun;
    const old = await oldCopies(input.pipelines);
    const receiptAt = (by: { readonly at: string; readonly actor: string }): Receipt =>
      sealed({
        ...{ id, begunAt: new Date(begun.at).toISOString(), at: by.at, actor: by.actor },
        column: input.column ?? "(card)",
        names: [...names.all.names].sort(),
        personal: [...names.all.personal].sort(),
        values: hashes,
        keyCheck: keyCheck(key),
        places: [...all.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
        left: [...looked.left, ...old, ...input.topics],
        data: looked.data,
      });
    // A run that was killed after its receipt was sealed ends with that one, where this look found nothing more.
    const { receipt: before } = begun;
    const isSame = before !== undefined && receiptAt(before).hash === before.hash;
    const receipt = isSame ? before : receiptAt({ at: new Date(at).toISOString(), actor: input.actor });
    await keepBegun(input, { ...begun, receipt });
    const found = receipt.places.filter((place) => place.found > 0).length;
    for (const store of input.stores)
      await noteForgotten(store, { receipt: id, hash: receipt.hash, places: found, by: run.by });
    return { receipt, file: await end(input, receipt) };
  } finally {
    for (const lock of locks.reverse()) await lock.release();
  }
}

/** What servers keep of bytes that were written over: nobody reaches them from here, and the receipt says so. */
async function oldCopies(pipelines: readonly ForgetPipeline[]): Promise<readonly LeftPlace[]> {
  const left = new Map<string, LeftPlace>();
  for (const { ports } of pipelines) {
    const objects = (await ports.archive?.())?.objects;
    const keeps = (await objects?.keepsVersions()) ?? false;
    if (objects !== undefined && keeps !== false) {
      const why =
        keeps === "unknown"
          ? "the bucket does not say whether it keeps versions: if so, objects of before still hold the person"
          : "the bucket keeps versions: objects of before still hold the person";
      const todo = "let versions that are not current expire (a lifecycle rule), or delete them";
      left.set(objects.where, { where: objects.where, why, todo });
    }
    const shared = await ports.shared?.();
    if (shared !== undefined) {
      const why = "its dump and its append-only file have the bytes of before until it writes them again";
      left.set(shared.where, { where: shared.where, why, todo: "BGSAVE, and BGREWRITEAOF where it appends" });
    }
  }
  return [...left.values()];
}

export interface ForgetCheck {
  readonly receipt: string;
  readonly places: readonly ForgottenPlace[];
  readonly found: number;
  /** Files that hold the value byte by byte; null where it was not given. */
  readonly files: readonly string[] | null;
}

/**
 * Searches all places again, by the keyed hashes of the receipt; with the value itself also every file byte by byte. Errors: config.invalid (another
 * key), cli.usage (another value), and those of every store.
 */
export async function verifyForgotten(
  places: ForgetPlaces,
  given: { readonly receipt: Receipt; readonly key: string; readonly value: string | null },
): Promise<ForgetCheck> {
  const { receipt, key, value } = given;
  if (receipt.keyCheck !== keyCheck(key)) {
    throw new SentinelError("config.invalid", `receipt ${receipt.id} was written under another key`, {
      hint: "set SENTINEL_FORGET_KEY to the key of then; without it nobody can tell whether the value is gone",
    });
  }
  if (value !== null && erasedHash(value, key).hash !== receipt.values[0].hash) {
    throw new SentinelError("cli.usage", `--value is not what receipt ${receipt.id} is about`, {
      hint: "leave it out: the receipt's keyed hash is enough for a search of what is kept in rows",
    });
  }
  const all: Names = { names: new Set(receipt.names), personal: new Set(receipt.personal) };
  const looked = await lookEverywhere(places, {
    eraserFor: (own) => searcherOf(receipt.values, { ...own, key }),
    names: { all, of: () => all },
    swaps: [],
    bytes: value === null ? [] : spellings([value]),
    run: null,
    data: receipt.data.some(({ erased }) => erased),
  });
  const found = looked.places.filter((place) => place.found > 0);
  const files =
    value === null ? null : looked.left.filter((place) => place.elsewhere !== true).map(({ where }) => where);
  return {
    receipt: receipt.id,
    places: found,
    found: found.reduce((sum, place) => sum + place.found, 0) + (files?.length ?? 0),
    files,
  };
}

/** What the receipts of a workspace say that is gone, for whoever recomputes. */
export function forgottenIn(of: { readonly workspace: string; readonly stateDir: string }): Forgotten {
  const receipts = receiptsOf(of.stateDir);
  const tables = receipts.flatMap(({ data, places }) => [
    ...data.filter(({ erased }) => erased).map(({ file }) => file),
    ...places.filter(({ found, where }) => found > 0 && where.startsWith("data/")).map(({ where }) => where),
  ]);
  const erased = [...new Set(tables)].map((file) => path.resolve(of.workspace, file));
  return {
    names: new Set(receipts.flatMap(({ names }) => [...names])),
    personal: new Set(receipts.flatMap(({ personal }) => [...personal])),
    isTable: (dataPath) =>
      (dataPath ?? "")
        .split(",")
        .filter((one) => one !== "")
        .map((one) => path.resolve(of.workspace, one))
        .some((one) => erased.some((file) => file === one || file.startsWith(`${one}${path.sep}`))),
  };
}

interface Names {
  readonly names: ReadonlySet<string>;
  readonly personal: ReadonlySet<string>;
}

interface AllNames {
  readonly all: Names;
  of(pipeline: Pipeline): Names;
}

/** Names of the column, pipeline by pipeline. Errors: cli.usage where no pipeline knows it. */
function namesOf(pipelines: readonly ForgetPipeline[], column: string | null): AllNames {
  const known = new Map(pipelines.map(({ pipeline }) => [pipeline.name, namesIn(pipeline, column)]));
  const found = [...known.values()].filter((one) => one !== null);
  if (found.length === 0) {
    throw new SentinelError(
      "cli.usage",
      column === null ? "no pipeline of the workspace has a column of a card" : `no pipeline knows a column ${column}`,
      { hint: "name the column that says who somebody is: --column customer_id --value X" },
    );
  }
  const all: Names = {
    names: new Set(found.flatMap(({ names }) => [...names])),
    personal: new Set(found.flatMap(({ personal }) => [...personal])),
  };
  return { all, of: ({ name }) => known.get(name) ?? all };
}

function namesIn(pipeline: Pipeline, column: string | null): Names | null {
  const canonical = column === null ? pipeline.columns.card : nameFolder(pipeline.canonical)(column);
  if (canonical === null) return null;
  return { names: new Set(spellingsOf(pipeline, [canonical])), personal: new Set(personalNames(pipeline)) };
}

function checkValue(value: string): void {
  if (value !== "" && value.length <= ERASED_LENGTH_MAX && value.trim() === value) return;
  throw new SentinelError("cli.usage", `a value of ${value.length} characters names nobody`, {
    hint: `give the value as the column has it: 1 to ${ERASED_LENGTH_MAX} characters, without blanks around it`,
  });
}

/** As a text, within JSON, within JSON within JSON, and in HTML. */
function spellings(values: readonly string[]): readonly Buffer[] {
  const all = values.flatMap((value) => {
    const once = JSON.stringify(value).slice(1, -1);
    return [value, once, JSON.stringify(once).slice(1, -1), escapeHtml(value)];
  });
  return [...new Set(all)].map((text) => Buffer.from(text));
}

/** Enough to tell another key, and nothing of the key. */
function keyCheck(key: string): string {
  return erasedHash("sentinel forget", key).hash.slice(0, 16);
}

interface Looking {
  readonly eraserFor: (names: Names) => Eraser;
  readonly names: AllNames;
  readonly swaps: readonly IdentitySwap[];
  readonly bytes: readonly Buffer[];
  readonly run: { readonly receipt: string; readonly by: { readonly actor: string; readonly at: number } } | null;
  readonly data: boolean;
}

interface Looked {
  readonly places: readonly ForgottenPlace[];
  readonly left: readonly LeftPlace[];
  readonly data: readonly DataTable[];
}

async function lookEverywhere(at: ForgetPlaces, on: Looking): Promise<Looked> {
  const { run, names } = on;
  const write = run !== null;
  const places: ForgottenPlace[] = [];
  const note = (where: string, erased: readonly Erased[]): void => {
    for (const { what, found } of erased) places.push({ where, what, found });
  };
  for (const { pipeline, ports, schema } of at.pipelines) {
    const eraser = on.eraserFor(names.of(pipeline));
    const log = await ports.log();
    if (ports.shared !== undefined) {
      const shared = await ports.shared();
      if (write) await drainPending(shared, log);
      note(
        shared.where,
        await shared.erase({
          key: (layout, series, text) => sharedKey(layout, { series, text, eraser }),
          id: eraser.text,
          record: eraser.json,
          bytes: (bytes) => swapped(bytes, on.swaps),
          write,
        }),
      );
    }
    note(log.where, await log.erase(eraser, { write }));
    const archive = (await ports.archive?.()) ?? null;
    if (archive !== null)
      note(archive.objects.where, await eraseFromArchive(archive, { pipeline, schema, eraser, write }));
  }
  const eraser = on.eraserFor(names.all);
  for (const store of at.stores) note(store.where, await store.erase(eraser, run));
  const dataset = await at.pipelines[0].ports.dataset();
  const tables = await eraseFromTables(at.workspace, { dataset, eraser, names: names.all, write, data: on.data });
  places.push(...tables.places);
  const { swaps, bytes } = on;
  const files = await eraseFromFiles(at.workspace, {
    ...{ eraser, swaps, bytes, write, writeFile: at.writeFile },
    isData: (file) => isTable(at.workspace, file),
    isDriven: (file) => DRIVEN.test(file),
  });
  places.push(...files.places);
  return { places, left: await leftOver(at, files.left, eraser), data: tables.data };
}

/** A file of several tenants holds the bytes where another tenant has the value: rows of that one are its own to forget. */
async function leftOver(
  { neighbours }: ForgetPlaces,
  left: readonly LeftPlace[],
  eraser: Eraser,
): Promise<readonly LeftPlace[]> {
  if (!left.some(({ where }) => STORE.test(where))) return left;
  const theirs: string[] = [];
  for (const { tenant, store } of neighbours) {
    const erased = await store.erase(eraser, null);
    if (erased.some(({ found }) => found > 0)) theirs.push(tenant);
  }
  if (theirs.length === 0) return left;
  const place = {
    why: `rows of ${theirs.length === 1 ? "the tenant" : "the tenants"} ${theirs.join(", ")} name the same value, and none of this one's`,
    todo: `where the person is to be forgotten there too: ${theirs.map((tenant) => `--tenant ${tenant}`).join(", ")}`,
    elsewhere: true,
  } as const;
  return left.map((one) => (STORE.test(one.where) ? { where: one.where, ...place } : one));
}

/** The store of all tenants, where it is a file. */
const STORE = /^models\/state\/store\.db(-wal|-shm)?$/;

/** Files that a driver rewrites as a whole. */
const DRIVEN = /^models\/state\/[^/]+\.db(-wal|-shm)?$|(^|\/)date=[^/]*\/[^/]+\.parquet(\.next)?$|\.ndjson\.gz$/;

/** As fill.ts writes it. */
interface LayoutAbout {
  readonly layout?: { readonly series?: readonly { readonly key: readonly string[] }[] };
}

/** The layout that the store keeps beside the keys says over which columns they are. */
function sharedKey(
  layout: SharedLayout | null,
  { series, text, eraser }: { readonly series: number; readonly text: string; readonly eraser: Eraser },
): string | null {
  const about = layout === null ? {} : (JSON.parse(layout.about) as LayoutAbout);
  const columns = about.layout?.series?.[series]?.key;
  return columns === undefined ? eraser.text(text) : erasedKey(columns, text, eraser);
}

/**
 * Nobody may serve whose memory holds the state of before: it would save it again. Servers that share their state go on. Errors: lifecycle.locked.
 */
async function lockAll(pipelines: readonly ForgetPipeline[]): Promise<{ release(): Promise<void> }[]> {
  const locks: { release(): Promise<void> }[] = [];
  try {
    for (const { pipeline, ports } of pipelines) {
      const lock = await ports.lock();
      const serving = await lockOfServer(ports, pipeline).catch((cause: unknown) => {
        throw cause instanceof SentinelError && cause.code === "lifecycle.locked" ? served(pipeline, cause) : cause;
      });
      if (ports.shared === undefined) locks.push(serving);
      else await serving.release();
      locks.push(await lock.acquire(`retrain-${pipeline.name}`));
      locks.push(await lock.acquire(archiveLock("compact", pipeline), { everywhere: true }));
    }
    return locks;
  } catch (error) {
    for (const lock of locks.reverse()) await lock.release();
    throw error;
  }
}

function served(pipeline: Pipeline, cause: SentinelError): SentinelError {
  return new SentinelError(
    "lifecycle.locked",
    `${pipeline.name} is being served by a process that has its feature state in memory: ${cause.message}`,
    {
      hint: "stop that server or stream, forget, and start it again; servers that share their state in Redis may go on",
      cause,
    },
  );
}

function keyOf({ where, what }: ForgottenPlace): string {
  return `${where}\n${what}`;
}

function add(all: Map<string, ForgottenPlace>, places: readonly ForgottenPlace[]): void {
  for (const place of places) {
    const before = all.get(keyOf(place));
    all.set(keyOf(place), before === undefined ? place : { ...place, found: before.found + place.found });
  }
}

function cameBack({ where, what, found }: ForgottenPlace): LeftPlace {
  return {
    where,
    why: `${found} ${what} of the person came in while the others were erased`,
    todo: "stop what sends them, then run the command again",
  };
}
