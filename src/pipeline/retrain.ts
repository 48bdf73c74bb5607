// Section `retrain`: how often a model may be trained anew by itself.
import { duration } from "./kind.ts";
import { key, section } from "./section.ts";

export const RETRAIN = section({
  cooldown: key(duration(), { default: "1d", means: "After a retraining, no other for this long." }),
});
