// Section `rules`: who may change the pipeline's rules how.
import { flag } from "./kind.ts";
import { key, section } from "./section.ts";

export const RULE_CHANGES = section({
  four_eyes: key(flag, {
    default: false,
    means:
      "Whoever wrote a rule may not make it live: a second person does ([API](api.md#four-eyes)). Rules applied from the file were reviewed there.",
  }),
});
