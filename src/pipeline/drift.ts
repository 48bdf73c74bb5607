// Section `drift`: which movements of the world count as an alarm.
import { duration, number, oneOf, share } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

export const DRIFT = section({
  window: key(duration(), { default: "7d", means: "`monitor` looks at this much of the newest traffic." }),
  psi_floor: key(number({ from: 0, to: 10 }), {
    default: 0.1,
    means: "A smaller population stability index is no alarm, however certain.",
  }),
  false_discovery_rate: key(share, {
    default: 0.01,
    means: "Share of false alarms among the features called drifted.",
  }),
  correction: key(oneOf("benjamini-hochberg", "benjamini-yekutieli"), {
    default: "benjamini-hochberg",
    means:
      "How p values are adjusted for many features: Benjamini-Hochberg, or Benjamini-Yekutieli, which is stricter and holds however features depend on each other.",
  }),
  persistence: key(number({ from: 1, to: 6, whole: true }), {
    default: 2,
    means:
      "An alarm needs so many of the newest `persistence` + 1 sevenths of the window (days, with `7d`) to have moved: one odd day is none.",
  }),
});

export type DriftKeys = ValueOf<typeof DRIFT.fields>;
