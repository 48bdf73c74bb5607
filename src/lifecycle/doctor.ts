// Doctor: what is configured, what answers, and what to do about the rest.

import { accessSync, constants, existsSync, statSync } from "node:fs";
import path from "node:path";
import { DAY_MS } from "../core/duration.ts";
import { messageOf, SentinelError } from "../core/errors.ts";
import { holdsSeal, isErased, journalHash, verifyJournal } from "../core/journal.ts";
import { OTHERS_MODE } from "../core/private.ts";
import { isRemote } from "../core/remote.ts";
import { fieldFault } from "../online/fields.ts";
import { loadVersion } from "../online/score.ts";
import { readLives } from "../online/states.ts";
import { loadPipeline, type Pipeline, pipelineNames } from "../pipeline/pipeline.ts";
import type { PredictionLog } from "../ports/log.ts";
import type { Ports } from "../ports/ports.ts";
import { type AuditEntry, PAGE_MAX, type Page, type Store } from "../ports/store.ts";
import { dvcEntryOf } from "./data/dvc.ts";
import { loadSchema } from "./data/schema-file.ts";
import { servedReport } from "./data/served.ts";
import { loadOpenSpec } from "./data/spec-file.ts";

export interface Finding {
  readonly what: string;
  readonly state: "ok" | "note" | "fault";
  readonly found: string;
  /** What to do; "" when nothing. */
  readonly todo: string;
}

const NODE_MAJOR_MIN = 20;
const PREDICTIONS_FOR_RATE = 10_000;
/** As the pipeline's default says it. */
const DAYS_UNLIMITED = 36_500;

/** Looks at everything and never throws; a fault is a finding. */
export async function doctor(
  ports: Ports,
  input: { readonly workspace: string; readonly pipeline: string; readonly nodeVersion: string },
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const look = async (
    what: string,
    ask: () => Promise<Omit<Finding, "what">> | Omit<Finding, "what">,
  ): Promise<void> => {
    try {
      findings.push({ what, ...(await ask()) });
    } catch (error) {
      const todo = error instanceof SentinelError ? error.hint : "see the message";
      findings.push({ what, state: "fault", found: messageOf(error), todo });
    }
  };
  const { workspace } = input;
  await look("node", () => {
    const fine = Number(input.nodeVersion.replace(/^v/, "").split(".")[0]) >= NODE_MAJOR_MIN;
    return {
      state: fine ? "ok" : "fault",
      found: input.nodeVersion,
      todo: fine ? "" : `install Node ${NODE_MAJOR_MIN} or newer`,
    };
  });
  await look("workspace", () => {
    accessSync(workspace, constants.W_OK);
    const names = pipelineNames(workspace);
    return names.length > 0
      ? { state: "ok", found: `${workspace}: pipelines ${names.join(", ")}`, todo: "" }
      : {
          state: "fault",
          found: `${workspace} has no pipelines/`,
          todo: "make a workspace with `sentinel init`, or name one with --workspace",
        };
  });
  await look("pipeline", async () => {
    const pipeline = loadPipeline(workspace, input.pipeline);
    const { features } = await loadOpenSpec(pipeline);
    const named = features.filter(({ kind }) => kind !== "columns").length;
    const more = named < features.length ? " and all numeric columns of the table" : "";
    return { state: "ok", found: `${pipeline.file}: ${named} features${more}`, todo: "" };
  });
  await look("other pipelines", () => otherFinding(workspace, input.pipeline));
  await look("data", async () => {
    const { source } = loadPipeline(workspace, input.pipeline);
    if (!isThere(source))
      return {
        state: "note",
        found: `${source} is not there`,
        todo: `put data there, or \`sentinel simulate --out ${path.relative(workspace, source)}\``,
      };
    const { rows, format } = await (await ports.dataset()).describe(source);
    return { state: "ok", found: `${source}: ${rows.toLocaleString("en")} rows, ${format}`, todo: "" };
  });
  await look("data in DVC", async () => {
    const { source } = loadPipeline(workspace, input.pipeline);
    if (isThere(source) && !isFile(source)) {
      const found = `${source} is a table of several files: DVC is not asked, runs name it by the SHA-256 over all of them`;
      return { state: "ok", found, todo: "" };
    }
    const faults: string[] = [];
    const entry = dvcEntryOf(source, (what) => faults.push(what));
    if (faults.length > 0)
      return { state: "fault", found: faults.join("; "), todo: "fix that file: was it merged by hand?" };
    if (entry === null || !isThere(source))
      return { state: "ok", found: "not tracked: runs name it by its SHA-256", todo: "" };
    const md5 = await (await ports.dataset()).hash(source, "md5");
    const file = path.relative(workspace, entry.file);
    return md5 === entry.md5
      ? { state: "ok", found: `${md5} in ${file}`, todo: "" }
      : {
          state: "note",
          found: `${file} is behind: it says ${entry.md5}, the file is ${md5}`,
          todo: "`dvc repro`, or `dvc commit` to take the file as it is",
        };
  });
  await look("registry", async () => {
    const { model } = loadPipeline(workspace, input.pipeline);
    const registry = await ports.registry();
    const versions = await registry.versions(model);
    const { champion } = await registry.aliases(model);
    if (champion === undefined)
      return {
        state: "note",
        found: `${registry.where}: ${versions.length} versions, no champion`,
        todo: "`sentinel train`, then `sentinel promote`",
      };
    await loadVersion(registry, { model, version: champion });
    return {
      state: "ok",
      found: `${registry.where}: ${versions.length} versions, champion ${champion} loads and reproduces its golden rows`,
      todo: "",
    };
  });
  await look("journal", async () => {
    const { model } = loadPipeline(workspace, input.pipeline);
    const journal = await (await ports.registry()).journal(model);
    const check = verifyJournal(journal);
    return check.ok
      ? { state: "ok", found: `${journal.length} entries, the chain is whole`, todo: "" }
      : {
          state: "fault",
          found: `the chain is broken at entry ${check.badIndex}: ${check.why}`,
          todo: "somebody changed history: compare with models/journal.ndjson and a backup",
        };
  });
  await look("prediction log", async () => {
    const log = await ports.log();
    return logFinding(log, await loadOr(() => loadPipeline(workspace, input.pipeline)));
  });
  if (ports.store !== undefined) await look("store", () => storeFinding(ports));
  await look("served inputs", () => inputFinding(ports, { workspace, pipeline: input.pipeline }));
  await look("privacy", () => privacyFinding(path.join(workspace, "models", "state")));
  if (ports.shared !== undefined) await look("shared feature state", () => sharedFinding(ports, input.pipeline));
  await look("source control", async () => {
    const commit = await (await ports.sourceControl()).describe();
    return commit === null
      ? { state: "note", found: "no git repository", todo: "`git init`: runs then say which code made them" }
      : {
          state: "ok",
          found: `${commit.commit.slice(0, 12)}${commit.dirty ? ", with uncommitted changes" : ""}`,
          todo: "",
        };
  });
  return findings;
}

/** Whether the pipelines that a server would hold beside this one can be read: it serves the rest without those that cannot. */
function otherFinding(workspace: string, pipeline: string): Omit<Finding, "what"> {
  const others = pipelineNames(workspace).filter((name) => name !== pipeline);
  if (others.length === 0) return { state: "ok", found: "none", todo: "" };
  const faults = others.flatMap((name) => {
    try {
      loadSchema(loadPipeline(workspace, name));
      return [];
    } catch (error) {
      return [`${name} cannot be served: ${messageOf(error)}`];
    }
  });
  if (faults.length === 0) return { state: "ok", found: `${others.join(", ")}: each can be read`, todo: "" };
  return {
    state: "note",
    found: faults.join("; "),
    todo: "`sentinel doctor --pipeline NAME` says more; a running server takes it up once it is repaired",
  };
}

/** Whether requests bring what the champion's features read, in the spelling that its training knew. */
async function inputFinding(
  ports: Ports,
  of: { readonly workspace: string; readonly pipeline: string },
): Promise<Omit<Finding, "what">> {
  const pipeline = loadPipeline(of.workspace, of.pipeline);
  const registry = await ports.registry();
  const { champion } = await registry.aliases(pipeline.model);
  if (champion === undefined) return { state: "ok", found: "no champion yet", todo: "" };
  const scorer = await loadVersion(registry, { model: pipeline.model, version: champion });
  const fault = fieldFault(scorer.plan, { pipeline, schema: loadSchema(pipeline) });
  if (fault !== null) return { state: "fault", found: fault.message, todo: fault.hint };
  const report = await servedReport(ports, { pipeline, plan: scorer.plan, bundle: scorer.bundle });
  if (report.rows === 0) return { state: "ok", found: "nothing was served yet by this champion", todo: "" };
  if (report.warnings.length > 0) {
    const todo = "send these fields as the training table spells them; `sentinel validate` and /model show the shares";
    return { state: "note", found: report.warnings.join("; "), todo };
  }
  const lacking = report.fields.filter((field) => field.lacking + field.text > 0);
  const counts = lacking.map((field) => `${field.field} in ${field.lacking + field.text}`).join(", ");
  const found = `${report.rows} requests bring what the features read${counts === "" ? "" : `; lacking: ${counts}`}`;
  return { state: "ok", found, todo: "" };
}

/** A value, or null where it cannot be had: another finding says why. */
async function loadOr<T>(load: () => T): Promise<T | null> {
  try {
    return load();
  } catch {
    return null;
  }
}

/** What the log holds and keeps, and whether evidence can mature in it at the rate at which it fills. */
async function logFinding(log: PredictionLog, pipeline: Pipeline | null): Promise<Omit<Finding, "what">> {
  const { predictions, shadows, labels } = await log.counts();
  const begin = await log.begin();
  const pruned = begin.through === 0 ? "" : `, begins after entry ${begin.through} (older ones were forgotten)`;
  const contents = `${log.where}: ${predictions} predictions, ${shadows} shadows, ${labels} labels${pruned}`;
  if (pipeline === null) return { state: "ok", found: contents, todo: "" };
  const { retention } = pipeline.log;
  const days = retention.days < DAYS_UNLIMITED ? `, for ${retention.days} days` : "";
  const found = `${contents}; keeps ${retention.rows.toLocaleString("en")} predictions${days}`;
  const span = await log.span();
  const spanDays = span === null ? 0 : (span.to - span.from) / DAY_MS;
  const daysKept = Math.min(retention.days, spanDays > 0 ? (retention.rows / predictions) * spanDays : Infinity);
  const daysNeeded = pipeline.labels.maturityMs / DAY_MS + pipeline.gates.promotion.daysMin;
  // A few minutes make no rate.
  if (predictions < PREDICTIONS_FOR_RATE || daysKept >= daysNeeded) return { state: "ok", found, todo: "" };
  return {
    state: "note",
    found: `${found}: about ${daysKept.toFixed(1)} days at the present rate, and evidence needs ${daysNeeded} (labels.maturity and gates.promotion.days_min)`,
    todo: "raise log.retention, or no candidate's evidence will ever mature",
  };
}

/** Where rules, pipelines, alerts and audit are, whether it answers, and whether the audit is whole. */
async function storeFinding(ports: Ports): Promise<Omit<Finding, "what">> {
  const store = await ports.store!();
  const { version, rowSecurity } = await store.schema();
  const alerts = (await store.alerts.counts()).reduce((sum, { count }) => sum + count, 0);
  const pipelines = (await store.pipelines.list()).length;
  const fault = await auditFault(store);
  if (fault !== null) return { state: "fault", found: `${store.where}: ${fault}`, todo: AUDIT_TODO };
  const found = `${store.where}: version ${version}, ${pipelines} pipelines, ${alerts} alerts; the audit is whole`;
  if (rowSecurity !== "bypassed") return { state: "ok", found, todo: "" };
  return {
    state: "note",
    found: `${found}; its role is a superuser or has BYPASSRLS: row-level security does not count for it`,
    todo: "let the server be a role without both that owns the tables (docs/tenants.md)",
  };
}

const AUDIT_TODO = "somebody changed history: compare with a backup";
/** Of the audit, its last entries are checked: thousands take a second, and all of them would hold up whoever only looks. */
const AUDIT_CHECKED = 5000;

async function auditFault(store: Store): Promise<string | null> {
  const last = (await store.audit.page({}, { limit: 1 })).items[0];
  if (last === undefined) return null;
  let before: AuditEntry | null = null;
  let from = Math.max(0, last.index + 1 - AUDIT_CHECKED);
  while (from <= last.index) {
    const entries = await store.audit.scan(from, PAGE_MAX);
    for (const entry of entries) {
      const follows =
        before === null
          ? entry.index === from || (await wasForgotten(store, entry))
          : entry.index === before.index + 1 && entry.previous === before.hash;
      if (!follows || !holdsSeal(entry) || (isErased(entry) && !(await wasErased(store, entry))))
        return `entry ${entry.index} of the audit was changed, removed or added`;
      before = entry;
    }
    if (entries.length === 0) return `entry ${from} of the audit was removed`;
    from = entries[entries.length - 1].index + 1;
  }
  return null;
}

/** Whether the newest entry about what the audit forgot says that everything before this one went, by its seal. */
async function wasForgotten(store: Store, first: AuditEntry): Promise<boolean> {
  const [forgot] = (await store.audit.page({ subject: "audit" }, { limit: 1 })).items;
  const { through, hash } = (forgot?.before ?? {}) as { readonly through?: number; readonly hash?: string };
  return through === first.index - 1 && hash === first.previous;
}

/** Entries about erasures that are looked through for one that was erased. */
const ERASURES_SEEN_MAX = 10_000;

/** Whether the audit says that a person was erased from this entry, and that it holds since what it holds. */
async function wasErased(store: Store, entry: AuditEntry): Promise<boolean> {
  const { erased } = entry as AuditEntry & { readonly erased?: string };
  let cursor: string | null = null;
  for (let seen = 0; seen < ERASURES_SEEN_MAX; seen += PAGE_MAX) {
    const page: Page<AuditEntry> = await store.audit.page(
      { subject: "forget", subjectId: erased },
      { limit: PAGE_MAX, cursor },
    );
    for (const { after } of page.items) {
      const { table, entries } = (after ?? {}) as { readonly table?: string; readonly entries?: readonly unknown[] };
      if (table !== "audit" || !Array.isArray(entries)) continue;
      const own = entries.find((one) => Array.isArray(one) && one[0] === entry.index) as readonly unknown[] | undefined;
      if (own !== undefined) return own[1] === entry.hash && own[2] === journalHash(entry);
    }
    cursor = page.next;
    if (cursor === null) return false;
  }
  return false;
}

async function sharedFinding(ports: Ports, pipeline: string): Promise<Omit<Finding, "what">> {
  const store = await ports.shared!();
  const [head, lives] = [await store.head(), await readLives(await ports.snapshots(), pipeline)];
  const risk = await store.risk();
  if (risk !== null) return { state: "fault", found: `${store.where}: ${risk.found}`, todo: risk.todo };
  if (head === null) {
    const todo = lives.length === 0 ? "" : "it was emptied: the next server fills it again";
    return { state: lives.length === 0 ? "ok" : "note", found: `${store.where}: empty`, todo };
  }
  if (!lives.some(({ marker }) => marker === head.marker)) {
    const todo = "give each workspace a database of its own, or empty this one if nobody needs it";
    return { state: "fault", found: `${store.where}: the state of another workspace`, todo };
  }
  const waiting = (await store.pending()).length;
  const found = `${store.where}: ${head.layouts.length} layouts, ${waiting} records wait for the log`;
  return { state: "ok", found, todo: "" };
}

/** A folder that only its owner may enter is made so; one from before that, or opened since, is somebody's to decide on. */
function privacyFinding(stateDir: string): Omit<Finding, "what"> {
  if (!existsSync(stateDir)) return { state: "ok", found: "nothing of customers is kept here yet", todo: "" };
  const mode = statSync(stateDir).mode & 0o777;
  const octal = mode.toString(8).padStart(4, "0");
  return (mode & OTHERS_MODE) === 0
    ? { state: "ok", found: `${stateDir} is its owner's alone (${octal})`, todo: "" }
    : {
        state: "note",
        found: `${stateDir} holds customers' ids and amounts, and other users of this machine may enter it (${octal})`,
        todo: `\`chmod -R go= ${stateDir}\`, unless they are meant to`,
      };
}

function isFile(source: string): boolean {
  return existsSync(source) && statSync(source).isFile();
}

/** Whether a pipeline's source is there; what a pattern means is seen when it is read. */
function isThere(source: string): boolean {
  if (existsSync(source)) return true;
  return source.split(",").every((place) => isRemote(place) || /[*?]/.test(place) || existsSync(place));
}
