// Serve: the pipelines of a workspace as a server opens them, each under its own lock and with its own log.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SentinelError } from "../core/errors.ts";
import type { OpenPipeline, PipelineSource } from "../online/pipelines.ts";
import { loadPipeline, type Pipeline, pipelineNames } from "../pipeline/pipeline.ts";
import { hasModel } from "../pipeline/source.ts";
import type { ArchiveStatus } from "../ports/archive.ts";
import type { Ports } from "../ports/ports.ts";
import { loadSchema } from "./data/schema-file.ts";
import { applyFirst, rulesFileOf, rulesNow } from "./rules.ts";

/** Archives what a pipeline decides from now on, in another thread; `stop` waits for what was decided last. */
export type ArchiverOf = (pipeline: Pipeline) => { status(): ArchiveStatus; stop(): Promise<void> };

/** Makes the ports of one pipeline, and closes what they opened. */
export type PortsOf = (pipeline: Pipeline) => { readonly ports: Ports; close(): Promise<void> };

/** The pipeline of other verbs where nobody names one and there are several. */
const USUAL = "card";

/**
 * Which pipelines a server holds, and which of them answers a request that names none: the one that `main` names, else the first of
 * `named`, else the only one, else `card`, else none. A server may begin with none and serve those that programs make; `needed` says that there
 * must be one. Errors: pipeline.missing.
 */
export function servedNames(
  workspace: string,
  {
    named,
    main,
    needed = false,
  }: { readonly named: readonly string[]; readonly main: string | null; readonly needed?: boolean },
): { readonly names: readonly string[]; readonly main: string | null } {
  const known = pipelineNames(workspace);
  const names = [...new Set(named.length > 0 ? named : known)];
  const wanted = main ?? named[0] ?? (known.length === 1 ? known[0] : known.includes(USUAL) ? USUAL : null);
  // Names the folder's pipelines, or says that there are none.
  for (const name of names) if (!known.includes(name)) loadPipeline(workspace, name);
  if (names.length === 0 && needed) loadPipeline(workspace, USUAL);
  if (wanted === null || names.includes(wanted)) return { names, main: wanted };
  throw new SentinelError("pipeline.missing", `--default ${wanted} is none of the pipelines that are served`, {
    hint: names.length === 0 ? "no pipeline has a file here; leave --default out" : `name one of ${names.join(", ")}`,
  });
}

/** A pipeline file as a source of an engine. */
export function fileSource(workspace: string, name: string, make: Makers): PipelineSource {
  return { name, from: "file", open: () => withoutFolder(workspace, () => openFile(workspace, name, make)) };
}

/** What a pipeline is opened with. */
export interface Makers {
  readonly portsOf: PortsOf;
  readonly archiverOf: ArchiverOf;
}

/** A pipeline that a program made, once its files are written, as a source of an engine. */
export function madeSource(workspace: string, name: string, make: Makers): PipelineSource {
  const open = async (): Promise<OpenPipeline> => ({ ...(await openFile(workspace, name, make)), made: true });
  return { name, from: "api", open: () => withoutFolder(workspace, open) };
}

async function openFile(workspace: string, name: string, { portsOf, archiverOf }: Makers): Promise<OpenPipeline> {
  const pipeline = loadPipeline(workspace, name);
  const schema = loadSchema(pipeline);
  const { ports, close } = portsOf(pipeline);
  try {
    await firstRules(ports, pipeline);
    const isArchived = ((await ports.archive?.()) ?? null) !== null;
    const lock = await lockServing(ports, pipeline);
    const archiver = isArchived ? archiverOf(pipeline) : null;
    return {
      ports,
      pipeline,
      schema,
      ...(archiver === null ? {} : { archive: archiver.status }),
      async close() {
        await archiver?.stop();
        await close().finally(() => lock.release());
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Rules of a workspace in which none were ever applied begin with their file; later a changed file waits for its command. */
async function firstRules(ports: Ports, pipeline: Pipeline): Promise<void> {
  const applied = await applyFirst(ports, { pipeline, actor: "serve" }).catch(async (error: unknown) => {
    // What is live goes on, whatever the file says meanwhile.
    if (!(error instanceof SentinelError) || (await rulesNow(ports, pipeline)).head.revision === 0) throw error;
    ports.report.line(`the rules file cannot be applied: ${error.message}`);
    return null;
  });
  if (applied === null || applied.changes.length === 0) return;
  const { changes, done } = applied;
  const lines = `${changes.length} changes of ${path.basename(rulesFileOf(pipeline))}`;
  ports.report.line(done ? `${lines} applied` : `${lines} are not applied: run \`sentinel rules apply\``);
}

/** Whoever asks a pipeline reads what is wrong with it, and where the workspace lies is nobody's business. */
async function withoutFolder<T>(workspace: string, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    const bare = (text: string): string => text.replaceAll(`${path.resolve(workspace)}${path.sep}`, "");
    throw new SentinelError(error.code, bare(error.message), { hint: bare(error.hint), cause: error });
  }
}

const LOCK_TRIES_MAX = 20;
const LOCK_RETRY_MS = 100;

/** What a server that has a pipeline's feature state to itself holds; whoever teaches that state beside it must not. */
export async function lockOfServer(ports: Ports, pipeline: Pipeline): Promise<{ release(): Promise<void> }> {
  // A model's scores would be those of part of the traffic, on whichever machine. Rules alone may be asked on several.
  return (await ports.lock()).acquire(`serve-${pipeline.name}`, { everywhere: hasModel(pipeline) });
}

/**
 * Without Redis only one server may serve a pipeline of a workspace, because two would each keep a feature state that the other's traffic
 * never reaches: the lock is held while serving. With Redis the lock is only tried, so that no server without Redis runs, and released.
 */
async function lockServing(ports: Ports, pipeline: Pipeline): Promise<{ release(): Promise<void> }> {
  if (ports.shared === undefined) return lockOfServer(ports, pipeline);
  for (let tries = 1; ; tries++) {
    try {
      await (await lockOfServer(ports, pipeline)).release();
      return { release: async () => {} };
    } catch (error) {
      // Another server that looks at the same moment.
      if (tries === LOCK_TRIES_MAX) throw error;
      await sleep(LOCK_RETRY_MS);
    }
  }
}
