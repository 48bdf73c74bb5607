// Retention: what is older than the days of its kind leaves log, archive, store, ledger and reports, or is only counted.
import { readdirSync, rmSync, statSync } from "node:fs";
import path from "node:path";
import { archiveDay } from "../core/archive-names.ts";
import { DAY_MS } from "../core/duration.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { RetentionDays } from "../pipeline/retention.ts";
import type { Ports } from "../ports/ports.ts";
import { PAGE_MAX, type Store } from "../ports/store.ts";
import { daysIn } from "./archive/days.ts";
import { expireArchive } from "./archive/maintain.ts";

/** How long a store keeps what, in milliseconds; null: for ever. */
export interface StoreKept {
  readonly alertsMs: number | null;
  readonly auditMs: number | null;
  readonly ledgerMs: number | null;
}

/** One kind at one place. */
export interface Retained {
  readonly kind: keyof RetentionDays;
  readonly where: string;
  /** Null: it stays for ever. */
  readonly days: number | null;
  /** Records (of the archive days, of reports files) that went, or would go. */
  readonly records: number;
}

export interface RetentionInput {
  readonly pipelines: readonly { readonly pipeline: Pipeline; readonly ports: Ports }[];
  readonly stores: readonly Store[];
  readonly kept: StoreKept;
  readonly reportsDir: string;
  readonly actor: string;
  readonly now: number;
  readonly dryRun: boolean;
}

/** Of one transaction; others write between two. */
const SLICE_ROWS = 200;
/** Pages that a count looks at. */
const PAGES_MAX = 10_000;

/** What the environment says, and the longest of what pipelines say where that is shorter. */
export function storeKept(
  environment: Pick<StoreKept, "alertsMs" | "auditMs">,
  pipelines: readonly Pick<Pipeline, "retention">[],
): StoreKept {
  const longest = (kind: "alerts" | "audit" | "ledger"): number | null => {
    const days = pipelines.map(({ retention }) => retention[kind]);
    // One that says nothing keeps its own for ever.
    return days.length === 0 || days.includes(undefined) ? null : Math.max(...(days as number[])) * DAY_MS;
  };
  const shorter = (one: number | null, other: number | null): number | null =>
    one === null ? other : other === null ? one : Math.min(one, other);
  return {
    alertsMs: shorter(environment.alertsMs, longest("alerts")),
    auditMs: shorter(environment.auditMs, longest("audit")),
    ledgerMs: longest("ledger"),
  };
}

/** Errors: those of every store and archive. */
export async function retain(input: RetentionInput): Promise<readonly Retained[]> {
  const { pipelines, stores, kept, now, dryRun, actor } = input;
  const all: Retained[] = [];
  for (const { pipeline, ports } of pipelines) {
    all.push(await retainLog(ports, pipeline, { now, dryRun }));
    const archive = await retainArchive(ports, pipeline, { now, dryRun });
    if (archive !== null) all.push(archive);
  }
  for (const store of stores) {
    const by = { actor, at: now, reason: "retention" };
    const { alerts, audit, ledger, where } = store;
    const count = async (kind: Retained["kind"], keptMs: number | null, of: Counting): Promise<void> => {
      const before = keptMs === null ? null : now - keptMs;
      const records = before === null ? 0 : dryRun ? await of.older(before) : await slices(() => of.forget(before));
      all.push({ kind, where, days: keptMs === null ? null : keptMs / DAY_MS, records });
    };
    await count("alerts", kept.alertsMs, {
      older: (to) => counted((page) => alerts.page({ to }, page)),
      forget: (before) => alerts.forget({ before, limit: SLICE_ROWS }),
    });
    await count("audit", kept.auditMs, {
      older: (to) => counted((page) => audit.page({ to }, page)),
      forget: (before) => audit.forget({ before, limit: SLICE_ROWS, by }),
    });
    await count("ledger", kept.ledgerMs, {
      older: (before) => ledger.older(before),
      forget: (before) => ledger.forget({ before, limit: SLICE_ROWS }),
    });
  }
  all.push(retainReports(input));
  return all;
}

interface Counting {
  older(before: number): Promise<number>;
  /** Gives how many went, at most SLICE_ROWS. */
  forget(before: number): Promise<number>;
}

interface Now {
  readonly now: number;
  readonly dryRun: boolean;
}

async function retainLog(ports: Ports, { log: policy }: Pipeline, { now, dryRun }: Now): Promise<Retained> {
  const log = await ports.log();
  const { days } = policy.retention;
  const before = now - days * DAY_MS;
  let records = 0;
  if (dryRun) for await (const _ of log.old(before)) records++;
  else records = await log.forget(before);
  return { kind: "log", where: log.where, days, records };
}

async function retainArchive(ports: Ports, pipeline: Pipeline, { now, dryRun }: Now): Promise<Retained | null> {
  const archive = (await ports.archive?.()) ?? null;
  if (archive === null) return null;
  const days = pipeline.retention.archive ?? null;
  const about = { kind: "archive", where: archive.objects.where, days } as const;
  if (days === null) return { ...about, records: 0 };
  if (!dryRun) return { ...about, records: (await expireArchive(ports, { pipeline, schema: null, days })).days };
  const before = archiveDay(now - days * DAY_MS);
  return { ...about, records: (await daysIn(archive.objects)).filter(({ day }) => day < before).length };
}

/** Reports are of no one pipeline: the longest of all counts, and one that says nothing keeps them. */
function retainReports({ pipelines, reportsDir, now, dryRun }: RetentionInput): Retained {
  const days = pipelines.map(({ pipeline }) => pipeline.retention.reports);
  const longest = days.length === 0 || days.includes(undefined) ? null : Math.max(...(days as number[]));
  const about = { kind: "reports", where: reportsDir, days: longest } as const;
  if (longest === null) return { ...about, records: 0 };
  const old = filesIn(reportsDir).filter((file) => statSync(file).mtimeMs < now - longest * DAY_MS);
  if (!dryRun) for (const file of old) rmSync(file, { force: true });
  return { ...about, records: old.length };
}

function filesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => path.join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

async function slices(forget: () => Promise<number>): Promise<number> {
  let gone = 0;
  for (;;) {
    const count = await forget();
    gone += count;
    if (count < SLICE_ROWS) return gone;
  }
}

async function counted(
  pageOf: (page: {
    readonly limit: number;
    readonly cursor: string | null;
  }) => Promise<{ readonly items: readonly unknown[]; readonly next: string | null }>,
): Promise<number> {
  let [count, cursor]: [number, string | null] = [0, null];
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page: { readonly items: readonly unknown[]; readonly next: string | null } = await pageOf({
      limit: PAGE_MAX,
      cursor,
    });
    count += page.items.length;
    cursor = page.next;
    if (cursor === null) break;
  }
  return count;
}
