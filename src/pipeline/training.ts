// Section `training`: which model serves after the gates have judged one.
import { flag } from "./kind.ts";
import { key, section } from "./section.ts";

export const TRAINING_RUN = section({
  refit: key(flag, {
    means:
      "Whether the model that serves learns once more from all days with matured labels, those included that the gates judged on. Parameters and number of trees stay those of the judged model, which decides every gate and lies in the bundle too. Absent: after `retrain`, where the table is long enough, and not after `train`.",
  }),
});
