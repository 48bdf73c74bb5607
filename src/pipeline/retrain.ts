// Section `retrain`: how often a model may be trained anew by itself, from which days, and when there is something to learn.
import { duration, flag } from "./kind.ts";
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
  refit: key(flag, {
    default: true,
    means:
      "Once the gates have judged a candidate on days that it did not learn, train the same once more on all days, those included, and register that. `false` registers the judged model itself, which knows nothing of the newest weeks.",
  }),
  window: key(duration({ from: "14d" }), {
    means: "Learn from the newest days only, so many; older ones still fill the features' windows. Absent: from all.",
  }),
  half_life: key(duration({ from: "1d" }), {
    means:
      "A transaction counts half as much for each such time that it is older than the newest one. Absent: all count the same.",
  }),
});
