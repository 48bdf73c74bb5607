// A person in the files of a workspace: states, tables, reports and lines are made again without the person; what may not be changed is named.
import { constants, createReadStream } from "node:fs";
import { open, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { Eraser } from "../../core/erasure.ts";
import { eraseFromSnapshot, type IdentitySwap } from "../../features/erase.ts";
import { packInputs, unpackInputs } from "../../features/trained-inputs.ts";
import type { ForgottenPlace, LeftPlace, WriteFile } from "./receipt.ts";
import { writeWhole } from "./receipt.ts";

/** Files of a workspace; more are somebody else's folder. */
const FILES_MAX = 1_000_000;
/** A larger file is searched and named, and not rewritten in memory: a text of JavaScript has at most twice as many characters. */
const REWRITTEN_BYTES_MAX = 268_435_456;
/** A longer line of a file that is counted is no entry of ours. */
const LINE_BYTES_MAX = 67_108_864;
/** Read at once. */
const PIECE_BYTES = 1 << 20;
/** Made from elsewhere, somebody else's, or nobody's data. */
const SKIPPED =
  /(^|\/)(node_modules|\.git)\/|^tenants\/|^models\/state\/(locks|forgotten)\/|^models\/state\/forget\.key$/;
/** The spool of a gateway, and the topics of streams in files. */
const COUNTED = /^models\/state\/ledger-spool\.ndjson$|^data\/stream\/.*\.ndjson$/;
const TEXT = /\.(html?|json|ndjson|jsonl|csv|tsv|md|txt|log|ya?ml|svg)$/i;

interface FileErasure {
  readonly eraser: Eraser;
  /** What a file is searched for, byte by byte; empty where nobody knows. */
  readonly bytes: readonly Buffer[];
  readonly swaps: readonly IdentitySwap[];
  readonly write: boolean;
  readonly writeFile: WriteFile;
}

interface FilesFound {
  readonly places: readonly ForgottenPlace[];
  readonly left: readonly LeftPlace[];
}

/** Looks at every file of the workspace but those of `drivers`, which their drivers looked at. */
export async function eraseFromFiles(
  workspace: string,
  on: FileErasure & { readonly isData: (file: string) => boolean; readonly isDriven: (file: string) => boolean },
): Promise<FilesFound> {
  const places: ForgottenPlace[] = [];
  const left: LeftPlace[] = [];
  for await (const file of filesBelow(workspace)) {
    const full = path.join(workspace, file);
    if (SKIPPED.test(file) || on.isData(full)) continue;
    if (on.isDriven(file)) {
      if (await holdsAny(full, on.bytes)) left.push(leftOf(file));
      continue;
    }
    const found = await eraseFile(full, file, on);
    if (found > 0) places.push({ where: file, what: kindOf(file), found });
    else if (await holdsAny(full, on.bytes)) left.push(await sizedLeft(full, file));
  }
  return { places, left };
}

/** Paths below a folder, with slashes. */
async function* filesBelow(folder: string): AsyncGenerator<string> {
  const open: string[] = [""];
  let count = 0;
  for (let below = open.pop(); below !== undefined; below = open.pop()) {
    const entries = await readdir(path.join(folder, below), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const one = below === "" ? entry.name : `${below}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED.test(`${one}/`)) open.push(one);
      } else if (entry.isFile()) {
        yield one;
        if (++count > FILES_MAX) return;
      }
    }
  }
}

async function eraseFile(full: string, file: string, on: FileErasure): Promise<number> {
  if (file.startsWith("models/state/snapshots/")) return eraseSnapshot(full, on);
  if (COUNTED.test(file)) return eraseCounted(full, on);
  return isRewritten(file) ? eraseText(full, on) : 0;
}

/** The registry's artifacts are named by their hashes, its journal is sealed, and pipelines and features are somebody's code. */
function isRewritten(file: string): boolean {
  const ours = ["models/reports/", "models/state/", "data/"].some((folder) => file.startsWith(folder));
  return ours && TEXT.test(file);
}

/** Rows are lines; JSON over many lines counts as one. */
async function eraseText(full: string, { eraser, write, writeFile }: FileErasure): Promise<number> {
  const facts = await stat(full);
  if (facts.size > REWRITTEN_BYTES_MAX) return 0;
  const text = await readFile(full, "utf8");
  let found = 0;
  let after: string;
  if (/\.json$/i.test(full)) {
    const next = eraser.json(text);
    if (next === null) return 0;
    found = 1;
    after = next;
  } else {
    after = text
      .split("\n")
      .map((line) => {
        const next = line === "" ? null : eraser.json(line);
        if (next !== null) found++;
        return next ?? line;
      })
      .join("\n");
  }
  if (found > 0 && write) await writeWhole(writeFile, full, after);
  return found;
}

async function eraseSnapshot(full: string, { eraser, swaps, write, writeFile }: FileErasure): Promise<number> {
  const name = path.basename(full);
  const bytes = new Uint8Array(await readFile(full));
  const after = name.startsWith("state-")
    ? eraseState(bytes, { eraser, swaps })
    : name.startsWith("inputs-")
      ? eraseInputs(bytes, eraser)
      : eraseHead(bytes, eraser);
  if (after === null) return 0;
  if (write) await writeWhole(writeFile, full, after.bytes);
  return after.found;
}

interface After {
  readonly bytes: Uint8Array;
  readonly found: number;
}

/** Head and state, as states/saved.ts puts them together. */
function eraseState(bytes: Uint8Array, on: Pick<FileErasure, "eraser" | "swaps">): After | null {
  const length = 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const after = eraseFromSnapshot(bytes.subarray(length), on);
  if (after === null) return null;
  return { bytes: Buffer.concat([bytes.subarray(0, length), after.bytes]), found: after.found };
}

/** A few keys as examples; the others are numbers that say no more than whether a key is known. */
function eraseInputs(bytes: Uint8Array, eraser: Eraser): After | null {
  const inputs = unpackInputs(bytes);
  let found = 0;
  const keys = inputs.keys.map((key) => ({
    ...key,
    examples: key.examples.filter((example) => {
      const isTheirs = eraser.text(example) !== null;
      if (isTheirs) found++;
      return !isTheirs;
    }),
  }));
  return found === 0 ? null : { bytes: packInputs({ ...inputs, keys }), found };
}

/** JSON, or JSON behind its length with bytes after it (the filter of ids). */
function eraseHead(bytes: Uint8Array, eraser: Eraser): After | null {
  const first = bytes[0];
  if (first === 0x7b || first === 0x5b) {
    const after = eraser.json(Buffer.from(bytes).toString("utf8"));
    return after === null ? null : { bytes: Buffer.from(after), found: 1 };
  }
  if (bytes.length < 4) return null;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  if (4 + length > bytes.length) return null;
  const after = eraser.json(Buffer.from(bytes.subarray(4, 4 + length)).toString("utf8"));
  if (after === null) return null;
  const json = Buffer.from(after);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(json.length);
  return { bytes: Buffer.concat([head, json, bytes.subarray(4 + length)]), found: 1 };
}

/**
 * Others hold this file open and count its bytes: every text that goes is covered by as many stars, in its place. It is read piece by piece: a topic
 * may be larger than memory. A last line without its end is still being written.
 */
async function eraseCounted(full: string, { eraser, write }: FileErasure): Promise<number> {
  const handle = await open(full, write ? constants.O_RDWR : constants.O_RDONLY);
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    let [found, at] = [0, 0];
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const { bytesRead } = await handle.read(piece, 0, piece.length, at + rest.length);
      if (bytesRead === 0) break;
      const bytes = Buffer.concat([rest, piece.subarray(0, bytesRead)]);
      let from = 0;
      for (let end = bytes.indexOf(10, from); end >= 0; end = bytes.indexOf(10, from)) {
        const covered = coveredLine(bytes.toString("utf8", from, end), eraser);
        if (covered !== null) {
          found++;
          if (write) await handle.write(covered, 0, covered.length, at + from);
        }
        from = end + 1;
      }
      at += from;
      rest = bytes.subarray(from);
      if (rest.length > LINE_BYTES_MAX) break;
    }
    if (found > 0 && write) await handle.sync();
    return found;
  } finally {
    await handle.close();
  }
}

/** The same number of bytes; null: nothing of the person. */
function coveredLine(line: string, eraser: Eraser): Buffer | null {
  const after = eraser.json(line);
  if (after === null) return null;
  const gone = { texts: new Set<string>(), numbers: new Set<number>() };
  collect(JSON.parse(line), JSON.parse(after), gone);
  let text = line;
  for (const one of [...gone.texts].sort((a, b) => b.length - a.length)) {
    const once = JSON.stringify(one).slice(1, -1);
    for (const spelling of new Set([one, once, JSON.stringify(once).slice(1, -1)])) {
      if (spelling !== "") text = text.replaceAll(spelling, "*".repeat(Buffer.byteLength(spelling)));
    }
  }
  for (const one of gone.numbers) {
    const digits = String(one);
    const nothing = digits.length < NULL.length ? "0" : NULL;
    text = text.replace(
      new RegExp(`(?<=[:[,]\\s*)${digits.replace(/[.+]/g, "\\$&")}(?=\\s*[,}\\]])`, "g"),
      nothing.padEnd(digits.length),
    );
  }
  return Buffer.from(text);
}

const NULL = "null";
const PSEUDONYM = /forgotten-[0-9a-f]{24}/;

/** Texts and numbers of `before` that `after` has no more; entries hold JSON within texts. */
function collect(
  before: unknown,
  after: unknown,
  gone: { readonly texts: Set<string>; readonly numbers: Set<number> },
): void {
  if (before === after) return;
  if (typeof before === "string") {
    const [inner, later] = [parsed(before), typeof after === "string" ? parsed(after) : undefined];
    if (inner !== null && typeof inner === "object" && later !== undefined) {
      collect(inner, later, gone);
      return;
    }
    // Of a longer text only what named the person: two ids stay two.
    const [start, ...rest] = typeof after === "string" ? after.split(PSEUDONYM) : [""];
    const end = rest.at(-1) ?? "";
    gone.texts.add(before.slice(start.length, before.length - end.length));
  } else if (typeof before === "number") gone.numbers.add(before);
  else if (before !== null && typeof before === "object") {
    for (const [name, value] of Object.entries(before)) {
      collect(value, (after as Readonly<Record<string, unknown>> | null)?.[name], gone);
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Whether the bytes stand somewhere in a file. */
async function holdsAny(file: string, wanted: readonly Buffer[]): Promise<boolean> {
  if (wanted.length === 0) return false;
  const overlap = Math.max(...wanted.map(({ length }) => length)) - 1;
  let tail = Buffer.alloc(0);
  try {
    for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>) {
      const bytes = Buffer.concat([tail, piece]);
      if (wanted.some((one) => bytes.indexOf(one) >= 0)) return true;
      tail = bytes.subarray(Math.max(0, bytes.length - overlap));
    }
  } catch (error) {
    // Removed meanwhile.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  return false;
}

function kindOf(file: string): string {
  if (file.startsWith("models/state/snapshots/")) return "keys and ids";
  return /\.(nd)?jsonl?$/i.test(file) ? "entries" : "lines";
}

/** As {@link leftOf}, of a file that would have been rewritten were it smaller. */
async function sizedLeft(full: string, file: string): Promise<LeftPlace> {
  const { size } = await stat(full);
  if (!isRewritten(file) || size <= REWRITTEN_BYTES_MAX) return leftOf(file);
  const why = `it has ${size} bytes, and files of more than ${REWRITTEN_BYTES_MAX} are not rewritten`;
  return { where: file, why, todo: "split it and run the command again, or take the value out by hand" };
}

function leftOf(file: string): LeftPlace {
  const [why, todo] = whyLeft(file);
  return { where: file, why, todo };
}

function whyLeft(file: string): readonly [why: string, todo: string] {
  if (file.startsWith("pipelines/") || file.startsWith("features/"))
    return ["it is code of the workspace, which Sentinel never changes", "take the value out by hand"];
  if (file.startsWith("models/artifacts/") || file.startsWith("models/mlruns/"))
    return ["a version is named by the hash of its files", "train a version without the person, and remove this one"];
  if (/^models\/[^/]+$/.test(file))
    return ["the registry's journal is sealed", "look at the reasons and notes that name the person"];
  if (/^models\/state\/[^/]+\.db/.test(file))
    return [
      "rows of another tenant, or of a pipeline that is gone, name the same value",
      "forget it there too: --tenant NAME",
    ];
  return ["it is of a kind that is not rewritten", "remove it, or take the value out by hand"];
}
