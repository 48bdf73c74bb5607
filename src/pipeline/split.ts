// Section `split`: how the days of a training table are shared out, in the order of time.
import { duration, share } from "./kind.ts";
import { key, section } from "./section.ts";

/** What history, calibration and evaluation may take together: a model needs days to learn from. */
const HELD_BACK_MAX = 0.8;

export const SPLIT = section(
  {
    history: key(share, {
      default: 0.1,
      means:
        "Share of the days that only fill the windows. The order in time is history, train, calibrate, gap, evaluate.",
    }),
    calibrate: key(share, {
      default: 0.1,
      means: "Share of the days for early stopping, calibration and thresholds.",
    }),
    gap: key(duration(), {
      default: "7d",
      means: "Time left out before the evaluation: a model that begins its work there could not know those labels.",
    }),
    evaluate: key(share, {
      default: 0.15,
      means:
        "Share of the days that only the report and the training gate see. History, calibrate and evaluate together may take 0.8.",
    }),
  },
  {
    settle(split, { refuse }) {
      if (split.history + split.calibrate + split.evaluate <= HELD_BACK_MAX) return split;
      const what = "history, calibrate and evaluate leave under 20 % of the days to train on";
      return refuse("evaluate", what, "lower one of them");
    },
  },
);
