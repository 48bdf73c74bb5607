// Section `retrain`: how often a model may be trained anew by itself, from which days, and when there is something to learn.
import { duration } from "./kind.ts";
import { key, section } from "./section.ts";

export const RETRAIN = section({
  cooldown: key(duration(), { default: "1d", means: "After a retraining, no other for this long." }),
  fresh: key(duration({ to: "365d" }), {
    default: "5d",
    means:
      "After a drift alarm, training waits until so much time since the beginning of the drift has final labels (`labels.maturity`): before that a candidate would learn the old world once more.",
  }),
  patience: key(duration({ to: "365d" }), {
    default: "14d",
    means:
      "A candidate in shadow keeps its place until its first labels are final (`labels.maturity`) and for this long after: evidence begins anew with each candidate.",
  }),
  refresh: key(duration({ to: "3650d" }), {
    default: "56d",
    means:
      "After a drift the first candidate has learned a few days of the new world. Until one has learned so much of it, another follows each time that half as many days more have final labels, without an alarm. `0s`: none follows.",
  }),
  window: key(duration({ from: "14d" }), {
    means: "Learn from the newest days only, so many; older ones still fill the features' windows. Absent: from all.",
  }),
  half_life: key(duration({ from: "1d" }), {
    means:
      "A transaction counts half as much for each such time that it is older than the newest one. Absent: all count the same.",
  }),
});
