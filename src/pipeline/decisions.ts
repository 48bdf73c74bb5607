// Section `decisions`: where review and block begin, and what answers when scoring fails.
import { number, oneOf, share } from "./kind.ts";
import { key, section } from "./section.ts";

export const DECISIONS = section({
  review_policy: key(oneOf("budget", "max-f1", "cost"), {
    default: "budget",
    means:
      "What the review threshold aims at on the calibration days: `budget` flags no more than `review_share` of the traffic; `max-f1` is where F1 is highest; `cost` is where reviews and missed frauds together cost least.",
  }),
  review_share: key(share, {
    default: 0.01,
    means:
      "Share of the traffic that analysts can look at. With the policy `budget` the review threshold follows from it; models are compared at this share whatever the policy. For 200 reviews a day at 20,000 transactions a day write 0.01.",
  }),
  review_cost: key(number({ from: 0, to: 1e9 }), {
    default: 5,
    means: "What one review costs, in the currency of the amounts (policy `cost`, and the savings that reports name).",
  }),
  missed_share: key(share, {
    default: 1,
    means: "Share of a missed fraud's amount that is lost (policy `cost`).",
  }),
  block_precision: key(share, {
    default: 0.9,
    means: "Block from the score on where this share of the blocked are frauds.",
  }),
  block_score_min: key(share, {
    default: 0.5,
    means: "No transaction with a score below this is blocked, whatever the precision of all blocked ones.",
  }),
  fail_open: key(oneOf("approve", "review", "block"), {
    default: "review",
    means: "What answers when scoring itself fails: `approve`, `review` or `block`. The answer is flagged as degraded.",
  }),
});
