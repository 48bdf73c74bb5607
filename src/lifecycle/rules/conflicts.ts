// The conflict report: what can be proven of the rules, beside how often they really fire together.
import type { Ports } from "../../ports/ports.ts";
import { COMPARED_MAX, type Finding, findConflicts } from "../../rules/conflict.ts";
import { compileRules } from "../../rules/program.ts";
import { type BacktestInput, replayRules } from "./backtest.ts";
import { listsOf, rulesNow, scopeNow } from "./now.ts";

export interface CoFiring {
  readonly rule: string;
  readonly other: string;
  readonly both: number;
  /** Of each one's hits, how many the other has. */
  readonly shareOfRule: number;
  readonly shareOfOther: number;
}

export interface ConflictReport {
  readonly findings: readonly Finding[];
  /** Null where no past was asked. */
  readonly measured: { readonly where: string; readonly rows: number; readonly pairs: readonly CoFiring[] } | null;
  /** Rules beyond those that are compared with each other. */
  readonly left: number;
}

const PAIRS_SHOWN = 200;

/** `past` null: only what can be proven. */
export async function conflictsOf(
  ports: Ports,
  input: Omit<BacktestInput, "path" | "past"> & { readonly past: { readonly path: string | null } | null },
): Promise<ConflictReport> {
  const { past, ...others } = input;
  const { pipeline } = others;
  const now = await rulesNow(ports, pipeline);
  const { scope } = await scopeNow(ports, pipeline, { areas: now.live.areas, lists: null });
  const lists = await listsOf(now.store, now.counts);
  const program = await compileRules({ set: now.live, hash: "", scope, lists, only: ({ stage }) => stage !== "off" });
  const findings = findConflicts(program.rules);
  const left = Math.max(0, program.rules.length - COMPARED_MAX);
  if (past === null) return { findings, measured: null, left };
  const {
    rules,
    hits,
    past: seen,
  } = await replayRules(ports, {
    ...others,
    path: past.path,
    model: program.rules.some(({ condition }) => condition.needsModel),
  });
  const pairs: CoFiring[] = [];
  const own = new Uint8Array(seen.times.length);
  for (let a = 0; a < rules.length; a++) {
    for (const row of hits[a].rows) own[row] = 1;
    for (let b = a + 1; b < rules.length; b++) {
      let both = 0;
      for (const row of hits[b].rows) both += own[row];
      if (both === 0) continue;
      const [one, other] = [hits[a].rows.length, hits[b].rows.length];
      pairs.push({ rule: rules[a].id, other: rules[b].id, both, shareOfRule: both / one, shareOfOther: both / other });
    }
    for (const row of hits[a].rows) own[row] = 0;
  }
  pairs.sort(
    (a, b) => Math.max(b.shareOfRule, b.shareOfOther) - Math.max(a.shareOfRule, a.shareOfOther) || b.both - a.both,
  );
  return {
    findings,
    measured: { where: seen.where, rows: seen.times.length, pairs: pairs.slice(0, PAIRS_SHOWN) },
    left,
  };
}
