// A rule of a test: whole but for what the test is about.
import type { Rule } from "../../src/core/rule.ts";

export const madeRule = (id: string, when: string, more: Partial<Rule> = {}): Rule => ({
  id,
  when,
  action: "tag",
  severity: "info",
  description: "",
  stage: "live",
  share: 1,
  owner: "",
  ...more,
});
