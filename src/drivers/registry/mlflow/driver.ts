// The registry on an MLflow server, over its REST interface: what a team shares, with the same guarantees as far as MLflow lets us.
import { randomUUID } from "node:crypto";
import type { JournalEntry, RegistryTarget } from "../../../ports/registry.ts";
import { copiedEntries, copyJournal, readCopy } from "../journal-copy.ts";
import { stepOf } from "../journal-step.ts";
import {
  checkDocument,
  checkJournal,
  checkLog,
  checkMoves,
  checkRegistration,
  checkRun,
  checkTime,
  checkVersionTags,
} from "../limits.ts";
import { adopt } from "./adopt.ts";
import { inspectFiles, loadFiles } from "./artifacts.ts";
import { createMlflowClient, type MlflowLimits, type MlflowServer } from "./client.ts";
import { explained } from "./errors.ts";
import { tagExperiment } from "./experiments.ts";
import { checkEntryLength, journalFiles, moveAlias, readDocument, recover } from "./journal.ts";
import { endRun, listRuns, logRun, startRun } from "./runs.ts";
import * as stored from "./versions.ts";
import { faultsOfFiles, readEveryEntry, readJournal } from "./volumes.ts";

/** Connects at first use. Nothing that could go stale is kept between calls. */
export function createMlflowRegistry(options: {
  readonly server: MlflowServer;
  readonly limits?: MlflowLimits;
  /** Folder for a copy of the journal as text; without it none is kept. */
  readonly copyDir?: string;
  /** 32 hexadecimal digits, never the same twice. */
  readonly newId?: () => string;
}): RegistryTarget {
  const { server, limits, copyDir, newId = () => randomUUID().replaceAll("-", "") } = options;
  const client = createMlflowClient(server, limits);
  const ask = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw explained(error, client.where);
    }
  };
  const wholeJournal = (model: string, doubt?: (what: string) => void): Promise<readonly JournalEntry[]> =>
    readJournal(client, model, {
      copy: copyDir === undefined ? undefined : () => copiedEntries(copyDir, model),
      doubt,
    });
  /** Usually the copy lacks just the newest one, which needs no request. */
  const entriesFrom = async (from: number, newest: JournalEntry): Promise<readonly JournalEntry[]> => {
    if (from === newest.index) return [newest];
    return (await wholeJournal(newest.model)).slice(from);
  };
  const copied = async (newest: JournalEntry): Promise<JournalEntry> => {
    if (copyDir !== undefined) await copyJournal(copyDir, newest.model, (from) => entriesFrom(from, newest));
    return newest;
  };
  const places = new Map<string, string>();
  return {
    where: client.where,
    startRun: (input) =>
      ask(async () => {
        checkRun(input);
        checkTime("the run's start", input.startedAt);
        return startRun(client, input, newId());
      }),
    logRun: (runId, what) =>
      ask(async () => {
        checkLog(what);
        checkTime("the time of the log", what.at);
        await logRun(client, runId, what);
      }),
    endRun: (runId, status, endedAt) =>
      ask(async () => {
        checkTime("the run's end", endedAt);
        await endRun(client, runId, { status, endedAt });
      }),
    runs: (experiment) => ask(() => listRuns(client, experiment)),
    register: (input) =>
      ask(async () => {
        checkRegistration(input);
        checkTime("the registration's time", input.at);
        return stored.register(client, input, newId());
      }),
    stored: (reference) =>
      ask(async () => {
        const found = await stored.locateStored(client, reference);
        const read = (name: string, bytesMax: number) =>
          ask(() => stored.readFile(client, { location: found.location, name, bytesMax }));
        return { runId: found.runId, read };
      }),
    attach: (input) =>
      ask(async () => {
        checkVersionTags(input.tags);
        checkTime("the bundle's time", input.at);
        return stored.attach(client, input);
      }),
    versions: (model) => ask(() => stored.listVersions(client, model)),
    version: (model, version) => ask(() => stored.readVersion(client, model, version)),
    tagVersion: (model, version, tags) =>
      ask(async () => {
        checkVersionTags(tags);
        await stored.tagVersion(client, await stored.readVersion(client, model, version), tags);
      }),
    load: (model, version) =>
      ask(async () => {
        const found = await stored.readVersion(client, model, version);
        const location = await stored.locate(client, found);
        return loadFiles(client, { location, bundle: found.bundle, title: `${model} version ${version}` });
      }),
    aliases: (model) => ask(() => stored.aliasesOf(client, model)),
    moveAlias: (input) =>
      ask(async () => {
        const { entry, document } = input;
        checkMoves(input);
        if (document !== undefined) checkDocument(document, entry.evidence);
        checkJournal(entry);
        const step = stepOf(input);
        checkEntryLength(step);
        return copied(await moveAlias(client, step, { newId, document }));
      }),
    recover: (model) =>
      ask(async () => {
        const completed = await recover(client, model);
        return completed === null ? null : copied(completed);
      }),
    journal: (model, { asStored = false, doubt } = {}) =>
      ask(() => (asStored ? readEveryEntry(client, model) : wholeJournal(model, doubt))),
    tagExperiment: (experiment, tags) => ask(() => tagExperiment(client, experiment, tags)),
    adopt: (input) =>
      ask(async () => {
        const result = await adopt({ client, newId }, input);
        const from = async (index: number) => (await wholeJournal(input.model)).slice(index);
        if (copyDir !== undefined) await copyJournal(copyDir, input.model, from);
        return result;
      }),
    evidence: (model, hash) =>
      ask(async () => {
        // A journal's place never changes, and asking for it reads all of it.
        const files = places.get(model) ?? (await journalFiles(client, model));
        if (files === null) return null;
        places.set(model, files);
        return readDocument(client, files, hash);
      }),
    inspect: (model, version) =>
      ask(async () => {
        const found = await stored.readVersion(client, model, version);
        const location = await stored.locate(client, found);
        return inspectFiles(client, { location, bundle: found.bundle, title: `${model} version ${version}` });
      }),
    journalCopy: async () => (copyDir === undefined ? null : readCopy(copyDir)),
    storeFaults: (model) => ask(() => faultsOfFiles(client, model)),
    async close() {},
  };
}
