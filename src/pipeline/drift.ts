// Section `drift`: which movements of the world count as an alarm.
import { duration, number, share } from "./kind.ts";
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
});

export type DriftKeys = ValueOf<typeof DRIFT.fields>;
