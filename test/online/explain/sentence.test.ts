// Sentences: what is said of each kind of feature, of its missing value, and of what is usual.
import fc from "fast-check";
import { expect, test } from "vitest";
import { card } from "../../../features/card.ts";
import { speakerOf } from "../../../src/online/explain/sentence.ts";
import { EVERY_KIND } from "./every-kind.ts";

const speak = speakerOf(EVERY_KIND);
const gone = Number.NaN;

test.each<readonly [feature: string, value: number, usual: number | undefined, text: string]>([
  ["amount", 950, 53.123, "the amount is 950 (usually 53.1)"],
  ["amount", 12_345.6, undefined, "the amount is 12,346"],
  ["amount", gone, 53, "the amount is missing"],
  ["hour", 3, 14, "made between 3:00 and 3:59 UTC"],
  ["weekday", 2, 4, "made on a Tuesday"],
  ["weekend", 1, 0, "made on a weekend"],
  ["night", 1, 0, "made at night (0:00 to 6:59 UTC)"],
  ["mean_7d", 80, 50, "this card's mean amount in the 7 days before is 80 (usually 50)"],
  ["std_7d", gone, 9, "fewer than two transactions of this card in the last 7 days"],
  ["over_mean", -3.5, 0, "the amount is 3.5 below this card's mean amount in the 7 days before (usually 0 over)"],
  ["count_1h", 12, 1, "12 transactions of this card in the last hour (usually 1)"],
  ["frauds_7d", 4, 0, "4 frauds reported at this shop 7 to 14 days ago (usually 0)"],
  ["frauds_7d", 1, 1.2, "1 fraud reported at this shop 7 to 14 days ago"],
  ["genuine_2d", 0, 3, "no transactions known as genuine at this shop in the last 2 days (usually 3)"],
  [
    "rate_30d",
    0.4,
    0,
    "40 % of the transactions at this shop 12 to 732 hours ago were reported as fraud (usually 0 %)",
  ],
  ["total_1d", 300, 60, "this card's total amount in the last day is 300 (usually 60)"],
  ["amounts_1d", 2, 1, "2 transactions with amount of this card in the last 90 seconds (usually 1)"],
  ["shops", 5, 1, "5 different shops of this card in the last day (usually 1)"],
  ["pair_count", 1, 1, "1 transaction of this card and shop in the last 30 days"],
  ["since_last", 40, 32_400, "40 seconds since the last transaction of this card (usually 9 hours)"],
  ["since_last", gone, 32_400, "no earlier transaction of this card in the last 30 days"],
  ["since_first_fraud", 2.04, gone, "the first fraud known at this shop was 2 days ago (usually none)"],
  ["after_fraud", 3, gone, "3 transactions since the last fraud known at this shop (usually no fraud known)"],
  ["bursts", 2, 0, "2 transactions of this card in the last 3 days over 3 times the usual amount (usually 0)"],
  ["others", 1, 4, "1 other card at this shop in the last 30 days (usually 4)"],
  ["others_frauds", 3, 0, "3 other cards with a fraud reported at this shop 7 to 37 days ago (usually 0)"],
  [
    "others_share",
    0.25,
    0,
    "25 % of the other cards at this shop in the last 30 days had a fraud reported there (usually 0 %)",
  ],
  ["others_share", gone, 0, "no other card at this shop in the last 30 days"],
  [
    "frauds_of_visitors",
    0.5,
    0,
    "the mean number of frauds known of the card of a transaction at this shop in the 7 days before, as of then is 0.5 (usually 0)",
  ],
  ["frauds_of_visitors", gone, gone, "no transactions at this shop in the 7 days before"],
  ["least_fraud", 12, 80, "the smallest amount of frauds known at this shop in the last 35 days is 12 (usually 80)"],
  ["least_fraud", gone, gone, "no fraud known at this shop in the last 35 days"],
  ["fraud_run", 3, 0, "3 known frauds in a row at this shop, up to 7 days ago (usually 0)"],
  [
    "fraud_run_days",
    9.5,
    gone,
    "the known frauds in a row at this shop, up to 7 days ago began 9.5 days ago (usually none)",
  ],
  ["times_mean", 17.94, 1, "the amount is 17.9 times this card's mean amount in the 7 days before (usually 1)"],
  ["times_mean", gone, 1, "nothing to compare the amount with"],
  ["zscore", 8.2, 8.2, "the amount is 8.2 standard deviations over this card's mean amount in the 7 days before"],
  ["isRound", 1, 0, '"is round" is 1 (usually 0)'],
  ["anomaly_score", 0.71, undefined, "the transaction as a whole is unusual: anomaly score 0.71 of 1"],
  ["anomaly_score", 0.4, undefined, "the transaction as a whole is ordinary: anomaly score 0.4 of 1"],
])("%s of %d: %s", (feature, value, usual, text) => {
  expect(speak(feature, { value, usual })).toBe(text);
});

test("every default feature is spoken of, whatever its value", () => {
  const speakers = [card, EVERY_KIND].map((spec) => ({ spec, say: speakerOf(spec) }));
  const number = fc.oneof(fc.float(), fc.nat(50), fc.constant(gone));
  fc.assert(
    fc.property(
      fc.constantFrom(...speakers),
      fc.nat(),
      number,
      fc.option(number),
      ({ spec, say }, at, value, usual) => {
        const { name, kind } = spec.features[at % spec.features.length];
        // A part of the time has its own few values.
        if (kind === "time") return;
        const text = say(name, { value, usual: usual ?? undefined });
        expect(text).not.toMatch(/undefined|NaN|\s\s/);
        expect(text.length).toBeLessThan(300);
      },
    ),
  );
});
