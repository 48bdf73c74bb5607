// Section `decisions`: where review and block begin, what is let through by chance, and what answers when scoring fails.
import { duration, list, number, oneOf, share, text, whole } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const BAND = section({
  up_to: key(number({ above: 0, to: 1e12 }), {
    required: true,
    means: "Largest amount of the band, in the currency of the amounts.",
  }),
  share: key(number({ above: 0, to: 0.5 }), {
    required: true,
    means: "Share of the band's transactions that is let through although the model blocks them.",
  }),
});

/** Bands by amount; what lies over the last one is never let through. */
const EXPLORE = section(
  {
    bands: key(list(BAND, { to: 10 }), {
      default: [],
      means:
        "What is blocked has no outcome, so nobody can tell whether blocking was right. A share of it by amount, chosen by chance, is let through and later stands for the rest in all evidence. Amounts over the last band, and transactions without one, are never let through; without bands nothing is.",
    }),
    answer: key(oneOf("review", "approve"), {
      default: "review",
      means: "What such a transaction is answered: an analyst looks at it, or it is approved.",
    }),
    seed: key(whole({ from: 0, to: 2_147_483_647 }), {
      default: 1,
      means:
        "Of the draw, which depends on nothing else but the transaction's id: every server and every replay draws the same. Keep it to yourself where others choose the ids.",
    }),
  },
  {
    settle(explore, { refuse }) {
      const late = explore.bands.findIndex(({ upTo }, place) => place > 0 && upTo <= explore.bands[place - 1].upTo);
      if (late < 0) return explore;
      return refuse(
        "bands",
        `band ${late + 1} ends at ${explore.bands[late].upTo}, not after the one before`,
        "write the bands by rising `up_to`",
      );
    },
  },
);

export type ExploreRules = ValueOf<typeof EXPLORE.fields>;

/** Policies of parts of the traffic. */
const SEGMENTS = section(
  {
    by: key(text, {
      means:
        "The feature that says which part of the traffic a transaction belongs to: a category, each value of which is a segment, or a number with `bands`. Each segment gets the policy that its own calibration days ask for, drawn to that of all traffic where its frauds are few; a value that these days did not show is judged by that of all traffic. Absent: one policy for all.",
    }),
    bands: key(list(number({ from: -1e12, to: 1e12 }), { to: 20 }), {
      default: [],
      means: "Largest values of the bands of a number, rising; what is over the last one is a band too.",
    }),
    shrinkage: key(number({ from: 0, to: 1e6, unit: "frauds" }), {
      default: 50,
      means:
        "With so many frauds a segment's own figures count half, with n of them n / (n + shrinkage); the policy `expected-cost` counts those that the scores say. 0 believes each segment.",
    }),
  },
  {
    settle(segments, { refuse }) {
      const { by, bands } = segments;
      if (by === undefined && bands.length > 0)
        return refuse("bands", "there are bands of nothing", "name the feature: `by: amount`");
      const late = bands.findIndex((band, place) => place > 0 && band <= bands[place - 1]);
      if (late < 0) return segments;
      return refuse("bands", `${bands[late]} comes after ${bands[late - 1]}`, "write the bands by rising value");
    },
  },
);

const DECISION_KEYS = {
  review_policy: key(oneOf("budget", "max-f1", "cost", "fraud-rate", "expected-cost"), {
    default: "budget",
    means:
      "What the review threshold aims at on the calibration days: `budget` reviews no more than `review_share` of the traffic, beside what is blocked; `max-f1` is where F1 is highest; `cost` is where reviews and missed frauds together cost least; `fraud-rate` reviews as few as it takes that frauds are at most `fraud_rate_max` of the amount that is approved, within `review_share`; `expected-cost` gives each transaction the answer whose expected cost is lowest at its amount and score, and where that is more than `review_share` reviews those that save most.",
  }),
  review_share: key(share, {
    default: 0.01,
    means:
      "Share of the traffic that analysts can look at. With the policy `budget` the review threshold follows from it; models are compared at this share whatever the policy. For 200 reviews a day at 20,000 transactions a day write 0.01.",
  }),
  adapt: key(oneOf("off", "budget"), {
    default: "off",
    means:
      "Whether the review threshold stays as it was trained, or follows the newest scores so that `review_share` of the traffic is reviewed, whatever drifts. Every record names the threshold that judged it. For pipelines that one server answers.",
  }),
  adapt_rows: key(whole({ from: 500, to: 50_000, unit: "transactions" }), {
    default: 5000,
    means:
      "The threshold follows so many of the newest scores; as long as `review_share` of them is under 10 alerts, it stays.",
  }),
  adapt_every: key(duration({ from: "1m", to: "30d" }), {
    default: "1h",
    means: "How often it may move, on the clock of the server.",
  }),
  adapt_range: key(number({ from: 1, to: 1000 }), {
    default: 4,
    means:
      "How far: from the bundle's own threshold to odds that are so many times lower or higher, and never over the block threshold.",
  }),
  fraud_rate_max: key(number({ above: 0, to: 0.5 }), {
    default: 0.0013,
    means:
      "Policy `fraud-rate`: the share of the approved amount that frauds may be. The default is the reference fraud rate of the European payment rules (PSD2) for remote card payments up to 100 €; up to 250 € write 0.0006, up to 500 € 0.0001.",
  }),
  review_cost: key(number({ from: 0, to: 1e9 }), {
    default: 5,
    means:
      "What one review costs, in the currency of the amounts (policies `cost` and `expected-cost`, and the savings that reports name).",
  }),
  missed_share: key(share, {
    default: 1,
    means: "Share of a missed fraud's amount that is lost (policies `cost` and `expected-cost`).",
  }),
  missed_cost: key(number({ from: 0, to: 1e9 }), {
    default: 0,
    means: "What a missed fraud costs beside its amount, such as the fee of a chargeback (policy `expected-cost`).",
  }),
  false_block_cost: key(number({ from: 0, to: 1e9 }), {
    default: 10,
    means:
      "What it costs to block a genuine transaction, whatever its amount: a call, a letter (policy `expected-cost`).",
  }),
  customer_factor: key(number({ from: 0, to: 1000 }), {
    default: 1,
    means:
      "How many times its amount it costs besides to block a genuine transaction: 0.02 is the margin that is lost, 3 a customer who pays less from then on (policy `expected-cost`).",
  }),
  block_precision: key(share, {
    default: 0.9,
    means:
      "Block from the lowest score on where at least this share of the blocked are frauds, on the calibration days and with `certainty`. Where no score reaches that nothing is blocked, and the training says so. The policy `expected-cost` blocks by cost instead.",
  }),
  certainty: key(number({ from: 0.5, to: 0.999 }), {
    default: 0.9,
    means:
      "How certain it must be that `block_precision` and `fraud_rate_max` are kept: the one-sided confidence of the interval whose end must keep them, with the transactions of one card counted as dependent. 0.5 asks the figure itself.",
  }),
  block_score_min: key(share, {
    default: 0.5,
    means: "No transaction with a score below this is blocked, whatever the precision of all blocked ones.",
  }),
  segments: SEGMENTS,
  explore: EXPLORE,
  fail_open: key(oneOf("approve", "review", "block"), {
    default: "review",
    means: "What answers when scoring itself fails: `approve`, `review` or `block`. The answer is flagged as degraded.",
  }),
};

export const DECISIONS = section(DECISION_KEYS, {
  settle(decisions, { refuse }) {
    const { adapt, reviewPolicy, segments } = decisions;
    if (adapt === "off" || (reviewPolicy !== "expected-cost" && segments.by === undefined)) return decisions;
    const what = reviewPolicy === "expected-cost" ? "`review_policy: expected-cost`" : "`segments`";
    return refuse(
      "adapt",
      `one threshold that follows the newest scores cannot stand beside ${what}, which has several`,
      "write `adapt: off`, or one threshold for all",
    );
  },
});
