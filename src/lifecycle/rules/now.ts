// The rules as they are now: the store's head with its sets, the file beside the pipeline, and the scope that conditions are read in.
import { existsSync, readFileSync } from "node:fs";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { RULES_FORMAT, type RuleSet } from "../../core/rule.ts";
import type { FeaturePlan } from "../../features/plan.ts";
import { ruleScope } from "../../online/rules.ts";
import { loadVersion, type Scorer } from "../../online/score.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { RULES_SUFFIX } from "../../pipeline/pipeline.ts";
import { parseRulesFile, type RulesFile } from "../../pipeline/rules.ts";
import { hasModel } from "../../pipeline/source.ts";
import type { Ports } from "../../ports/ports.ts";
import type { RuleStore, RulesHead } from "../../ports/rules.ts";
import type { ListsOf } from "../../rules/language.ts";
import { EMPTY_LIST, ListIndex } from "../../rules/lists.ts";
import type { RuleScope } from "../../rules/scope.ts";
import { loadSchema } from "../data/schema-file.ts";

export interface RulesNow {
  readonly store: RuleStore;
  readonly head: RulesHead;
  /** The live set; an empty one where there is none. */
  readonly live: RuleSet;
  readonly candidate: RuleSet | null;
  /** Changes that each list has. */
  readonly counts: Readonly<Record<string, number>>;
}

/** Errors: rules.unreadable. */
export async function rulesNow(ports: Ports, pipeline: Pipeline): Promise<RulesNow> {
  const store = await storeOf(ports);
  const head = await store.head();
  return {
    store,
    head,
    live: head.live === null ? emptySet(pipeline.name) : await store.set(head.live),
    candidate: head.candidate === null ? null : await store.set(head.candidate),
    counts: await store.lists(),
  };
}

export async function storeOf(ports: Ports): Promise<RuleStore> {
  if (ports.rules !== undefined) return ports.rules();
  throw new SentinelError("rules.unreadable", "there is no place for rules here", {
    hint: "open the ports of a workspace",
  });
}

function emptySet(pipeline: string): RuleSet {
  return { format: RULES_FORMAT, pipeline, rules: [], areas: {}, lists: {} };
}

/** pipelines/NAME.rules.yaml. */
export function rulesFileOf(pipeline: Pipeline): string {
  return pipeline.file.replace(/\.yaml$/, RULES_SUFFIX);
}

/** The rules as code; null where there is no such file. Errors: pipeline.invalid, with the line. */
export function readRulesFile(file: string): RulesFile | null {
  if (!existsSync(file)) return null;
  try {
    return parseRulesFile(readFileSync(file, "utf8"), file).value;
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw new SentinelError("pipeline.invalid", `${file} cannot be read: ${messageOf(error)}`, {
      hint: "put a readable YAML file there",
    });
  }
}

/** The champion's features; null where there is no champion. Errors: those of the registry. */
async function championPlan(ports: Ports, pipeline: Pipeline): Promise<FeaturePlan | null> {
  return (await championScorer(ports, pipeline))?.plan ?? null;
}

/** The champion; null where there is none. Errors: those of the registry. */
export async function championScorer(ports: Ports, pipeline: Pipeline): Promise<Scorer | null> {
  if (!hasModel(pipeline)) return null;
  const registry = await ports.registry();
  const { champion } = await registry.aliases(pipeline.model);
  return champion === undefined ? null : loadVersion(registry, { model: pipeline.model, version: champion });
}

/** What conditions may name. With `lists` null any list may be named. The key is the same for scopes that differ in their lists alone. */
export async function scopeNow(
  ports: Ports,
  pipeline: Pipeline,
  of: { readonly areas: RuleSet["areas"]; readonly lists: ReadonlySet<string> | null },
): Promise<{ readonly scope: RuleScope; readonly key: string; readonly plan: FeaturePlan | null }> {
  const plan = await championPlan(ports, pipeline);
  const schema = loadSchema(pipeline);
  // Before the first champion a rule may name the scores already; no feature is known yet.
  const scope = { ...ruleScope({ pipeline, schema, plan, ...of }), hasModel: hasModel(pipeline) };
  const { canonical, columns, log } = pipeline;
  const ground = [[...canonical], columns, log.redact.fields, schema, plan?.hash ?? null, scope.hasModel, of.areas];
  return { scope, key: sha256(JSON.stringify(ground)), plan };
}

/** The lists of a set, folded. */
export async function listsOf(store: RuleStore, counts: RuleSet["lists"]): Promise<ListsOf> {
  const lists = new Map<string, ListIndex>();
  for (const [name, count] of Object.entries(counts)) {
    lists.set(name, new ListIndex((await store.list(name)).slice(0, count)));
  }
  return (name) => lists.get(name) ?? EMPTY_LIST;
}
