// Numbers of rules: the API calls a rule by one number across all pipelines; each is given once and for ever.
import type { RuleNumbers } from "../../../ports/store.ts";
import { raise } from "./counters.ts";
import type { Database } from "./database.ts";
import type { SqlTransaction } from "./tables.ts";
import { stored, unstored } from "./text.ts";

/** Rule ids in one question. */
const ASKED_MAX = 1000;
/** Numbers that one answer holds: rules that were removed keep theirs. */
const NUMBERS_MAX = 100_000;

export function ruleNumbersOf(database: Database): RuleNumbers {
  return {
    async find(number) {
      if (!Number.isSafeInteger(number)) return null;
      const row = await database.read((sql) =>
        sql.selectFrom("rule_numbers").selectAll().where("number", "=", number).executeTakeFirst(),
      );
      if (row === undefined) return null;
      return { number: Number(row.number), pipeline: unstored(row.pipeline), rule: unstored(row.rule) };
    },
    async of(pipeline) {
      const rows = await database.read((sql) =>
        sql
          .selectFrom("rule_numbers")
          .select(["rule", "number"])
          .where("pipeline", "=", stored(pipeline))
          .orderBy("number", "desc")
          .limit(NUMBERS_MAX)
          .execute(),
      );
      return new Map(rows.map(({ rule, number }) => [unstored(rule), Number(number)]));
    },
  };
}

/** Gives a number to each rule that has none, in their order. */
export async function numberRules(sql: SqlTransaction, pipeline: string, ids: readonly string[]): Promise<void> {
  const wanted = [...new Set(ids)].map(stored);
  const missing: string[] = [];
  for (let start = 0; start < wanted.length; start += ASKED_MAX) {
    const asked = wanted.slice(start, start + ASKED_MAX);
    const rows = await sql
      .selectFrom("rule_numbers")
      .select("rule")
      .where("pipeline", "=", pipeline)
      .where("rule", "in", asked)
      .execute();
    const known = new Set(rows.map(({ rule }) => rule));
    missing.push(...asked.filter((id) => !known.has(id)));
  }
  if (missing.length === 0) return;
  const first = (await raise(sql, "rule_numbers", missing.length)) - missing.length + 1;
  for (let start = 0; start < missing.length; start += ASKED_MAX) {
    const rows = missing
      .slice(start, start + ASKED_MAX)
      .map((rule, index) => ({ number: first + start + index, pipeline, rule }));
    await sql.insertInto("rule_numbers").values(rows).execute();
  }
}
