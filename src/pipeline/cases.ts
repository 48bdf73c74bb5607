// Section `cases`: whose alerts make one case, how soon and in which order cases are worked, and what is reviewed by chance.
import { duration, flag, list, number, share, text, whole } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const DUE = { from: "1m", to: "365d" };

export const CASES = section({
  entity: key(text, {
    means:
      "Column whose value a case is about: alerts of one value join one open case. `columns.card` where nothing is said; a transaction without a value has a case of its own.",
  }),
  due: section({
    critical: key(duration(DUE), {
      default: "4h",
      means: "A case with a critical alert is due this long after it was opened.",
    }),
    warning: key(duration(DUE), { default: "1d", means: "The same, with an alert of severity `warning` at most." }),
    info: key(duration(DUE), {
      default: "3d",
      means: "The same, with alerts of severity `info` alone: those drawn by chance.",
    }),
  }),
  claim: key(duration({ from: "1m", to: "7d" }), {
    default: "30m",
    means: "A claimed case is its analyst's alone for this long; claiming it again begins anew.",
  }),
  four_eyes: key(flag, {
    default: false,
    means: "True: a case is closed, and its labels are written, when another person confirms.",
  }),
  minutes: key(number({ above: 0, to: 10_000 }), {
    default: 5,
    means:
      "What reviewing a case with one alert takes, in minutes. The queue goes by the expected loss that a minute prevents.",
  }),
  alert_minutes: key(number({ from: 0, to: 10_000 }), {
    default: 1,
    means: "What each further alert adds.",
  }),
  fraud_share: section({
    critical: key(share, {
      default: 0.3,
      means: "Share of frauds expected among critical alerts, where the model gave no score or a lower one.",
    }),
    warning: key(share, { default: 0.05, means: "The same of severity `warning`." }),
    info: key(share, { default: 0.001, means: "The same of severity `info`." }),
  }),
  blocked_share: key(share, {
    default: 0.2,
    means:
      "Share of a blocked transaction's expected loss that its review is worth: the money is safe already, and what remains is a customer who may have been blocked wrongly.",
  }),
  explore: section({
    share: key(number({ from: 0, to: 0.5 }), {
      default: 0,
      means:
        "Share of the transactions that nothing flags which become alerts by chance, of severity `info`: only they show what rules and model miss. Each such label carries this share as its propensity. 0: none.",
    }),
    picks: key(number({ from: 0, to: 0.5 }), {
      default: 0.1,
      means:
        "Share of the reviews that go to cases opened by such a draw, while there are any, whatever others are worth.",
    }),
    seed: key(whole({ from: 0, to: 2_147_483_647 }), {
      default: 1,
      means: "Of the draw, which depends on nothing else but the transaction's id.",
    }),
  }),
  links: key(list(text, { to: 20 }), {
    default: [],
    means:
      "Columns over which entities are linked: a terminal, a device, an address. Where nothing is said, columns whose names say so (`terminal_id`, `device`, `ip`, `email`, …).",
  }),
});

export type CaseRules = ValueOf<typeof CASES.fields>;
