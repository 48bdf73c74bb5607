// Section `labels`: when the truth about a transaction is known, and what silence means.
import { becomes, duration, oneOf } from "./kind.ts";
import { key, section } from "./section.ts";

export const LABELS = section({
  delay: key(duration(), {
    default: "7d",
    means: "A label is known this long after its transaction, when no better time is given.",
  }),
  maturity: key(duration(), {
    default: "7d",
    means: "A younger transaction does not count as evidence: a fraud may not have been reported yet.",
  }),
  unreported: key(
    becomes(oneOf("genuine", "unknown"), (word) => word === "genuine"),
    {
      default: "genuine",
      as: "unreportedIsGenuine",
      means:
        "What a mature transaction counts as that nobody reported: `genuine`, or `unknown`, which leaves it out of training and of all evidence.",
    },
  ),
});
