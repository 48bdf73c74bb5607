// Verify: walks a registry and names everything in it that is not what was written: journal, copy, aliases, versions, evidence.
import { SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { movesOf } from "../core/journal.ts";
import type { Reporter } from "../ports/ports.ts";
import type { JournalEntry, ModelVersion, Registry } from "../ports/registry.ts";
import { recovered } from "./registry.ts";
import { compareWithCopy, readCopyLines } from "./verify/copy.ts";
import type { Fault } from "./verify/fault.ts";
import { journalFaults } from "./verify/journal.ts";
import { originFaults } from "./verify/origin.ts";

export interface VerifyReport {
  readonly model: string;
  readonly where: string;
  readonly ok: boolean;
  readonly faults: readonly Fault[];
  /** What is as it may be, and worth knowing. */
  readonly notes: readonly string[];
  readonly checked: { readonly entries: number; readonly versions: number; readonly evidence: number };
}

/** Aliases that Sentinel acts on: each must have its word in the journal. */
const OWN_ALIAS = /^(champion|previous|candidate.*)$/;
/** More of one kind help nobody. */
const FAULTS_MAX = 1_000;

/** Errors: those of the registry when it cannot be asked; damage is a fault, not an error. */
export async function verifyRegistry(
  registry: Registry,
  input: { readonly model: string; readonly files: boolean; readonly report: Reporter },
): Promise<VerifyReport> {
  const { model } = input;
  const faults: Fault[] = [];
  const notes: string[] = [];
  // First: then what is damaged shows, and not what a killed process left unfinished.
  const completed = await recovered(registry, model);
  if (completed !== null)
    notes.push(`entry ${completed.index}: whoever wrote it died before its aliases had moved; they have now`);
  const ask = async <T>(what: Fault["what"], work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SentinelError) || !DAMAGE.has(error.code)) throw error;
      faults.push({ what, message: error.message });
      return otherwise;
    }
  };
  for (const fault of await ask("store", () => registry.storeFaults(model), []))
    faults.push({ what: "store", ...fault });
  const entries = await ask<readonly JournalEntry[]>("journal", () => registry.journal(model, { asStored: true }), []);
  const copy = await registry.journalCopy();
  const reading = readCopyLines(copy, model);
  faults.push(...reading.faults, ...journalFaults(entries, reading.known), ...compareWithCopy(entries, reading, copy));
  if (copy === null && entries.length > 0)
    notes.push("no copy of the journal on this machine: a chain alone cannot show that it was rewritten as a whole");
  const versions = await ask<readonly ModelVersion[]>("version", () => registry.versions(model), []);
  const aliases = await ask<Readonly<Record<string, string>>>("alias", () => registry.aliases(model), {});
  faults.push(...aliasFaults({ entries, aliases, versions, notes }));
  faults.push(...(await versionFaults(registry, { ...input, versions, entries, notes })));
  const evidence = await evidenceFaults(registry, { ...input, entries });
  faults.push(...evidence.faults, ...(await originFaults(registry, entries)));
  return {
    model,
    where: registry.where,
    ok: faults.length === 0,
    faults: faults.slice(0, FAULTS_MAX),
    notes,
    checked: { entries: entries.length, versions: versions.length, evidence: evidence.checked },
  };
}

/** Errors that say what a registry holds is damaged; others say that it cannot be asked. */
const DAMAGE: ReadonlySet<string> = new Set(["registry.corrupt", "registry.missing", "registry.version-unknown"]);

interface Found {
  readonly entries: readonly JournalEntry[];
  readonly aliases: Readonly<Record<string, string>>;
  readonly versions: readonly ModelVersion[];
  readonly notes: string[];
}

/** Each alias stands where its last entry put it. */
function aliasFaults({ entries, aliases, versions, notes }: Found): Fault[] {
  const faults: Fault[] = [];
  const last = new Map(entries.flatMap((entry) => movesOf(entry).map(({ alias, to }) => [alias, { entry, to }])));
  const visible = new Set(versions.map(({ version }) => version));
  for (const alias of new Set([...last.keys(), ...Object.keys(aliases)])) {
    const is = Object.hasOwn(aliases, alias) ? aliases[alias] : null;
    const put = last.get(alias);
    if (put === undefined && !OWN_ALIAS.test(alias)) {
      notes.push(`the alias ${alias} was set past the journal; Sentinel does not use it`);
      continue;
    }
    const says = put?.to ?? null;
    const where = (version: string | null): string => (version === null ? "no version" : `version ${version}`);
    if (is !== says) {
      const word =
        put === undefined ? "the journal has no entry of it" : `entry ${put.entry.index} put it at ${where(says)}`;
      const message = `the alias ${alias} is at ${where(is)}, ${word}; a move under way looks like this for a moment`;
      faults.push({ what: "alias", alias, ...(put === undefined ? {} : { entry: put.entry.index }), message });
    } else if (is !== null && !visible.has(is)) {
      faults.push({
        what: "alias",
        alias,
        version: is,
        message: `the alias ${alias} is at version ${is}, which is gone`,
      });
    }
  }
  return faults;
}

async function versionFaults(
  registry: Registry,
  input: Omit<Found, "aliases"> & { readonly model: string; readonly files: boolean; readonly report: Reporter },
): Promise<Fault[]> {
  const faults: Fault[] = [];
  const { model, versions, entries, notes } = input;
  const named = new Set(entries.flatMap(movesOf).map(({ to }) => to));
  for (const [done, { version, bundle, tags }] of versions.entries()) {
    input.report.progress("versions", done, versions.length);
    if (bundle === "") {
      const ours = named.has(version) || Object.keys(tags).some((key) => key.startsWith("sentinel."));
      const message = `${model} version ${version} has lost the hash of its bundle`;
      if (ours) faults.push({ what: "version", version, message });
      else notes.push(`version ${version} was not registered by Sentinel: nothing says what its files must be`);
      continue;
    }
    if (!input.files) continue;
    for (const { file, why } of await inspected(registry, model, version))
      faults.push({ what: "version", version, ...(file === "" ? {} : { file }), message: why });
  }
  input.report.progress("versions", versions.length, versions.length);
  return faults;
}

async function inspected(
  registry: Registry,
  model: string,
  version: string,
): Promise<readonly { readonly file: string; readonly why: string }[]> {
  try {
    return await registry.inspect(model, version);
  } catch (error) {
    if (!(error instanceof SentinelError) || !DAMAGE.has(error.code)) throw error;
    return [{ file: "", why: error.message }];
  }
}

/** A document is there and has the hash that its entry seals. */
async function evidenceFaults(
  registry: Registry,
  input: { readonly model: string; readonly entries: readonly JournalEntry[]; readonly report: Reporter },
): Promise<{ readonly checked: number; readonly faults: Fault[] }> {
  const faults: Fault[] = [];
  const first = new Map<string, number>();
  for (const { index, evidence } of input.entries)
    if (evidence !== "" && !first.has(evidence)) first.set(evidence, index);
  let done = 0;
  for (const [hash, entry] of first) {
    input.report.progress("evidence", done++, first.size);
    const text = await registry.evidence(input.model, hash);
    if (text !== null && sha256(text) === hash) continue;
    const state = text === null ? "is gone" : "was changed after it was kept";
    const message = `the evidence of entry ${entry} (${hash.slice(0, 12)}…) ${state}`;
    faults.push({ what: "evidence", entry, field: "evidence", file: `evidence/${hash}.json`, message });
  }
  input.report.progress("evidence", first.size, first.size);
  return { checked: first.size, faults };
}
