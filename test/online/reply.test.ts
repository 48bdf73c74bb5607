// The text of a reply: what JSON.stringify gives, whatever the reply holds and whichever came before it.
import fc from "fast-check";
import { expect, test } from "vitest";
import type { RuleOutcome } from "../../src/core/rule.ts";
import { replyOfRecord, replyText } from "../../src/online/reply.ts";
import type { PredictionDraft } from "../../src/online/states.ts";

const name = fc.constantFrom("1", "2", 'a "quoted" one', "\u0000\ud800");
const outcome: fc.Arbitrary<RuleOutcome> = fc.record({
  set: name,
  by: fc.constantFrom("model", "rule", "list", "policy"),
  rule: fc.option(name),
  fired: fc.array(name, { maxLength: 2 }),
  without: fc.constantFrom("approve", "block"),
  shadow: fc.array(name, { maxLength: 2 }),
  unready: fc.constantFrom(0, 3),
});
/** Few of them, so that one comes again: its text is then known. */
const outcomes = fc.array(outcome, { minLength: 1, maxLength: 3 });
const number = fc.oneof(fc.double(), fc.constantFrom(0, -0, Number.NaN, 1e-7, 1e21, Math.fround(0.1)));
const record = fc.record(
  {
    transactionId: fc.oneof(fc.string(), name),
    score: number,
    anomalyScore: number,
    decision: fc.constantFrom("approve", "review", "block"),
    version: name,
    bundle: fc.constantFrom("", "b1", "b2"),
    degraded: fc.boolean(),
    ruled: fc.nat(3),
    explored: fc.record({ propensity: fc.double({ min: 0, max: 1, noNaN: true }), upTo: number, rules: name }),
    adapted: fc.record(
      { review: number, rules: name, block: number, segment: name },
      { requiredKeys: ["review", "rules"] },
    ),
  },
  { requiredKeys: ["transactionId", "score", "anomalyScore", "decision", "version", "bundle", "degraded", "ruled"] },
);

test("the text of a reply is its JSON, also after others with the same model and rules", () => {
  fc.assert(
    fc.property(
      outcomes,
      fc.array(record, { maxLength: 12 }),
      fc.array(name, { minLength: 1, maxLength: 2 }),
      (rules, records, models) => {
        for (const [at, { ruled, ...one }] of records.entries()) {
          const draft = {
            ...one,
            ...(ruled < rules.length ? { rules: rules[ruled] } : {}),
          } as unknown as PredictionDraft;
          const reply = replyOfRecord(draft, models[at % models.length]);
          expect(replyText(reply)).toBe(JSON.stringify(reply));
          // One that somebody else made has the same text.
          const copy = structuredClone(reply);
          expect(replyText(copy)).toBe(JSON.stringify(copy));
        }
      },
    ),
    { numRuns: 200 },
  );
});
