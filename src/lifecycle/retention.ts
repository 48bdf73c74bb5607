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
  /** The setting that says how long the audit is kept: an entry names it. */
  readonly auditBy: "SENTINEL_AUDIT_KEEP" | "retention.audit";
}

/** How many went of each kind. */
export interface StoreRetained {
  readonly alerts: number;
  readonly audit: number;
  readonly ledger: number;
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

/** Of one transaction; others write between two, and the embedded store takes some milliseconds of the serving thread for it. */
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
  const auditMs = shorter(environment.auditMs, longest("audit"));
  return {
    alertsMs: shorter(environment.alertsMs, longest("alerts")),
    auditMs,
    ledgerMs: longest("ledger"),
    auditBy: auditMs === environment.auditMs ? "SENTINEL_AUDIT_KEEP" : "retention.audit",
  };
}

/**
 * Removes from a store what is too old, a small transaction after the other. `pause` comes between two of them and says whether to go on; a look of a
 * server that is not to take long has `slicesMax` of each kind. Errors: those of the store.
 */
export async function retainStore(
  { alerts, audit, ledger }: Pick<Store, "alerts" | "audit" | "ledger">,
  on: {
    readonly kept: StoreKept;
    readonly actor: string;
    readonly now: number;
    readonly pause?: () => Promise<boolean>;
    readonly slicesMax?: number;
  },
): Promise<StoreRetained> {
  const { kept, actor, now, pause = async () => true, slicesMax = Number.POSITIVE_INFINITY } = on;
  const limit = SLICE_ROWS;
  const by = { actor, at: now, reason: kept.auditBy };
  const slices = async (keptMs: number | null, forget: (before: number) => Promise<number>): Promise<number> => {
    if (keptMs === null) return 0;
    let gone = 0;
    for (let slice = 0; slice < slicesMax; slice++) {
      const count = await forget(now - keptMs);
      gone += count;
      if (count < limit || !(await pause())) break;
    }
    return gone;
  };
  return {
    alerts: await slices(kept.alertsMs, (before) => alerts.forget({ before, limit })),
    audit: await slices(kept.auditMs, (before) => audit.forget({ before, limit, by })),
    ledger: await slices(kept.ledgerMs, (before) => ledger.forget({ before, limit })),
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
    const days = (keptMs: number | null): number | null => (keptMs === null ? null : keptMs / DAY_MS);
    const gone = dryRun ? await countOld(store, { kept, now }) : await retainStore(store, { kept, actor, now });
    const { where } = store;
    all.push(
      { kind: "alerts", where, days: days(kept.alertsMs), records: gone.alerts },
      { kind: "audit", where, days: days(kept.auditMs), records: gone.audit },
      { kind: "ledger", where, days: days(kept.ledgerMs), records: gone.ledger },
    );
  }
  all.push(retainReports(input));
  return all;
}

/** What {@link retainStore} would remove. */
async function countOld(
  { alerts, audit, ledger }: Store,
  { kept, now }: { readonly kept: StoreKept; readonly now: number },
): Promise<StoreRetained> {
  const count = async (keptMs: number | null, older: (before: number) => Promise<number>): Promise<number> =>
    keptMs === null ? 0 : older(now - keptMs);
  return {
    alerts: await count(kept.alertsMs, (to) => counted((page) => alerts.page({ to }, page))),
    audit: await count(kept.auditMs, (to) => counted((page) => audit.page({ to }, page))),
    ledger: await count(kept.ledgerMs, (before) => ledger.older(before)),
  };
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
