// The embedded registry: one folder with an SQLite file in MLflow's own schema and the files of every version.
import { randomUUID } from "node:crypto";
import { messageOf, SentinelError } from "../../../core/errors.ts";
import { movesOf } from "../../../core/journal.ts";
import type { Clock } from "../../../ports/ports.ts";
import type { ModelVersion, RegistrySource, StoreFault } from "../../../ports/registry.ts";
import { systemClock } from "../../clock/system.ts";
import { ownerNow } from "../../files/owner.ts";
import { keepEvidence, readEvidence } from "../evidence-files.ts";
import { copyJournal, readCopy } from "../journal-copy.ts";
import { stepOf } from "../journal-step.ts";
import {
  BUNDLE_TAG,
  checkDocument,
  checkJournal,
  checkLog,
  checkMoves,
  checkRegistration,
  checkRun,
  checkTime,
  checkVersionTags,
  FOLDER_TAG,
} from "../limits.ts";
import { discardFiles, inspectFiles, loadFiles, readForeign, type Stored, storeFiles } from "./artifacts.ts";
import { RegistryDatabase } from "./database.ts";
import { isFileError, unwritable } from "./errors.ts";
import { experimentTags, listExperiments } from "./experiments.ts";
import { appendEntry, listEntries } from "./journal.ts";
import { failPending, giveUpAbandoned, insertPending, type Registration } from "./models.ts";
import { finishRun, insertRun, listRuns, logRun, readHistory } from "./runs.ts";
import type { Sql } from "./sql.ts";
import * as stored from "./versions.ts";

/**
 * `<dir>/mlflow.db` + `<dir>/artifacts/` + `<dir>/journal.ndjson` (a copy of the journal). Opens at first use; reading makes no
 * files. Paths inside are relative: `mlflow ui` started in `dir` shows everything, wherever the folder is moved.
 */
export function createLocalRegistry(options: {
  readonly dir: string;
  readonly clock?: Clock;
  /** 32 hexadecimal digits, never the same twice. */
  readonly newId?: () => string;
}): RegistrySource {
  const { dir, clock = systemClock, newId = () => randomUUID().replaceAll("-", "") } = options;
  const database = new RegistryDatabase({ dir, clock });
  const readVersion = (model: string, version: string): Promise<ModelVersion & Stored> =>
    database
      .read((sql) => stored.oneVersion(sql, model, version), { absent: null })
      .then((found) => {
        if (found === null) throw stored.unknownVersion(model, version);
        return found;
      });
  return {
    where: dir,
    async startRun(input) {
      checkRun(input);
      checkTime("the run's start", input.startedAt);
      const runId = newId();
      await database.write((sql) => insertRun(sql, { ...input, runId }));
      return runId;
    },
    async logRun(runId, what) {
      checkLog(what);
      checkTime("the time of the log", what.at);
      await database.write((sql) => logRun(sql, runId, { ...what, newId }));
    },
    async endRun(runId, status, endedAt) {
      checkTime("the run's end", endedAt);
      await database.write((sql) => finishRun(sql, runId, { status, endedAt }));
    },
    runs: (experiment) => database.read((sql) => listRuns(sql, experiment), { absent: [] }),
    async register(input) {
      checkRegistration(input);
      checkTime("the registration's time", input.at);
      return register({ dir, database, clock, newId }, input);
    },
    async stored(reference) {
      const missing = null;
      const found = await database.read(
        (sql) => {
          if (reference.kind === "run") return stored.filesOfRun(sql, reference.runId, reference.path);
          if (reference.kind === "logged") return stored.filesOfLogged(sql, reference.modelId);
          return stored.filesOfVersion(sql, reference.model, reference.version);
        },
        { absent: missing },
      );
      if (found !== null) return { runId: found.runId, read: (name, max) => readForeign(dir, { ...found, name, max }) };
      if (reference.kind === "logged") throw stored.unknownLogged(reference.modelId);
      throw stored.unknownVersion(
        ...(reference.kind === "run"
          ? ([reference.runId, reference.path] as const)
          : ([reference.model, reference.version] as const)),
      );
    },
    async attach(input) {
      checkVersionTags(input.tags);
      checkTime("the bundle's time", input.at);
      const { model, version, files, tags } = input;
      const found = await readVersion(model, version);
      if (found.bundle !== "") throw alreadyOne(found);
      // Beside the logged models: the files of another's version stay untouched, wherever they are.
      const place = { experiment: 0, modelId: `bundle-${newId()}` };
      const { location, bundle } = await storeFiles(dir, { ...place, files });
      await database.write((sql) => {
        if (stored.oneVersion(sql, model, version).bundle !== "") throw alreadyOne(found);
        const all = { ...tags, [FOLDER_TAG]: location, [BUNDLE_TAG]: bundle };
        stored.setVersionTags(sql, { model, version: Number(version), tags: all });
      });
      return withoutLocation(await readVersion(model, version));
    },
    async versions(model) {
      const found = await database.read((sql) => stored.listVersions(sql, model), { absent: [] });
      return found.map(withoutLocation);
    },
    async version(model, version) {
      return withoutLocation(await readVersion(model, version));
    },
    async tagVersion(model, version, tags) {
      checkVersionTags(tags);
      await database.write((sql) => {
        stored.oneVersion(sql, model, version);
        stored.setVersionTags(sql, { model, version: Number(version), tags });
      });
    },
    async load(model, version) {
      const found = await readVersion(model, version);
      return loadFiles(dir, { ...found, title: `${model} version ${version}` });
    },
    aliases: (model) => database.read((sql) => stored.aliasesOf(sql, model), { absent: {} }),
    async inspect(model, version) {
      const found = await readVersion(model, version);
      return inspectFiles(dir, { ...found, title: `${model} version ${version}` });
    },
    async moveAlias(input) {
      const { model, document } = input;
      checkMoves(input);
      const step = stepOf(input);
      const { at, evidence } = step;
      checkJournal(input.entry);
      if (document !== undefined) {
        checkDocument(document, evidence);
        await keepEvidence(dir, document, newId).catch((cause: unknown) => {
          throw isFileError(cause) ? unwritable(dir, cause) : cause;
        });
      }
      const written = await database.write((sql) => {
        for (const move of movesOf(step)) stored.setAlias(sql, { model, ...move, at });
        return appendEntry(sql, step);
      });
      await copyJournal(dir, model, (index) => database.read((sql) => listEntries(sql, model, index), { absent: [] }));
      return written;
    },
    // Entry and aliases are one transaction: nothing is ever left over.
    recover: async () => null,
    journal: (model) => database.read((sql) => listEntries(sql, model), { absent: [] }),
    evidence: (_model, hash) => readEvidence(dir, hash),
    journalCopy: () => readCopy(dir),
    storeFaults: () => database.read((sql) => faultsOf(sql), { absent: [] }),
    async contents() {
      const experiments = await database.read(listExperiments, { absent: [] });
      const models = await database.read((sql) => stored.listModels(sql), { absent: [] });
      return { experiments, models };
    },
    experimentTags: (experiment) => database.read((sql) => experimentTags(sql, experiment), { absent: {} }),
    runHistory: (runId) =>
      database.read((sql) => readHistory(sql, runId), { absent: { metrics: [], datasets: [], user: "" } }),
    async close() {
      database.close();
    },
  };
}

interface Parts {
  readonly dir: string;
  readonly database: RegistryDatabase;
  readonly clock: Clock;
  readonly newId: () => string;
}

/** Announce, store the files, publish: a process killed in between leaves a pending model that the next registration clears. */
async function register({ dir, database, clock, newId }: Parts, input: Registration): Promise<ModelVersion> {
  await clearAbandoned({ dir, database, clock });
  const modelId = `m-${newId()}`;
  const owner = ownerNow(clock.now());
  const pending = await database.write((sql) => insertPending(sql, { ...input, modelId, owner }));
  try {
    const files = await storeFiles(dir, { ...pending, files: input.files });
    return await database.write((sql) => stored.insertVersion(sql, { ...input, ...pending, ...files, newId }));
  } catch (cause) {
    await database.write((sql) => failPending(sql, pending, messageOf(cause))).catch(() => {});
    await discardFiles(dir, pending).catch(() => {});
    throw isFileError(cause) ? unwritable(dir, cause) : cause;
  }
}

async function clearAbandoned({ dir, database, clock }: Omit<Parts, "newId">): Promise<void> {
  const abandoned = await database.write((sql) => giveUpAbandoned(sql, clock.now()));
  for (const model of abandoned) await discardFiles(dir, model).catch(() => {});
}

/** SQLite's own look at its pages and indexes, at most this many lines of it. */
function faultsOf(sql: Sql): StoreFault[] {
  return sql
    .all("PRAGMA integrity_check(20)")
    .map((row) => String(Object.values(row)[0]))
    .filter((line) => line !== "ok")
    .map((message) => ({ message }));
}

function alreadyOne({ model, version }: ModelVersion): SentinelError {
  return new SentinelError("registry.conflict", `${model} version ${version} has its bundle already`, {
    hint: "`sentinel registry show` tells what it is; register the model again to import it anew",
  });
}

function withoutLocation({ location: _inside, ...version }: ModelVersion & Stored): ModelVersion {
  return version;
}
