// `sentinel rules`: rules as code and by hand; what each would have done, what is live, who made it so.
import { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { RULE_ACTIONS, RULE_SEVERITIES, RULE_STAGES, type Rule } from "../core/rule.ts";
import { visible } from "../core/visible.ts";
import {
  addRule,
  applyRules,
  type ChangeResult,
  removeRule,
  rollbackRules,
  rulesHistory,
  rulesNow,
  stageRule,
} from "../lifecycle/rules.ts";
import { choiceOption, numberOption, textOption } from "./options.ts";
import type { Output } from "./output.ts";
import type { Verb, VerbContext, VerbInput, VerbResult } from "./verb.ts";

type Action = (context: VerbContext, input: VerbInput) => Promise<VerbResult>;

export const verb: Verb = {
  args: "[action] [id] [stage]",
  options: [
    ["--check", "apply: only show the plan; exit 1 when there is something to do"],
    ["--candidate", "apply, add, stage: change the candidate rule set, which decides nothing, instead of the live one"],
    ["--file <file>", "apply: another file than pipelines/NAME.rules.yaml"],
    ["--when <condition>", "add: the SQL condition"],
    ["--action <action>", `add: ${RULE_ACTIONS.join(", ")} (default review)`],
    ["--severity <severity>", `add: ${RULE_SEVERITIES.join(", ")} (default warning)`],
    ["--description <text>", "add: what an analyst should read beside a hit"],
    ["--stage <stage>", `add: ${RULE_STAGES.join(", ")} (default draft)`],
    ["--owner <name>", "add: who answers for the rule"],
    ["--replace", "add: replace the rule of this id"],
    ["--share <share>", "add, stage: of the entities, in stage rollout (default 0.1)"],
    ["--to <hash>", "rollback: the rule set to put back (default: the one before)"],
    ["--reason <text>", "why, for the journal"],
  ],
  async run(context, input) {
    const [name = "list"] = input.args;
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action !== undefined) return action(context, input);
    const near = nearestName(name, Object.keys(ACTIONS));
    throw new SentinelError("cli.usage", `there is no \`sentinel rules ${name}\``, {
      hint: `${near === null ? "" : `did you mean ${near}? `}known: ${Object.keys(ACTIONS).join(", ")}`,
    });
  },
};

const ACTIONS: Readonly<Record<string, Action>> = { list, apply, add, stage, remove, history, rollback };

async function list(context: VerbContext): Promise<VerbResult> {
  const { head, live, candidate } = await rulesNow(context.ports(), context.pipeline());
  const { output } = context;
  output.line(head.live === null ? "no rule set is live" : `live ${head.live.slice(0, 12)}, revision ${head.revision}`);
  if (head.candidate !== null)
    output.line(`candidate ${head.candidate.slice(0, 12)}, ${candidate!.rules.length} rules`);
  if (live.rules.length > 0) {
    output.table([
      ["rule", "stage", "action", "severity", "condition"],
      ...live.rules.map((rule) => [
        rule.id,
        rule.stage === "rollout" ? `rollout ${rule.share}` : rule.stage,
        rule.action,
        rule.severity,
        visible(rule.when.length > 80 ? `${rule.when.slice(0, 79)}…` : rule.when),
      ]),
    ]);
  }
  return {
    yes: true,
    json: { ...head, rules: live.rules, lists: live.lists, candidate_rules: candidate?.rules ?? null },
  };
}

async function apply(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const check = options.check === true;
  const file = textOption(options, "file");
  const result = await applyRules(context.ports(), {
    ...byOf(context, { options }),
    check,
    ...(file === undefined ? {} : { file }),
  });
  show(context.output, result);
  return { yes: !check || result.changes.length === 0, json: result };
}

async function add(context: VerbContext, { args, options }: VerbInput): Promise<VerbResult> {
  const id = needed(
    args[1],
    "add",
    "an id: sentinel rules add big-crypto --when \"amount > 1000 AND currency = 'BTC'\"",
  );
  const when = needed(textOption(options, "when"), "add", "--when with the condition");
  const rule: Rule = {
    id,
    when,
    action: choiceOption(options, "action", RULE_ACTIONS) ?? "review",
    severity: choiceOption(options, "severity", RULE_SEVERITIES) ?? "warning",
    description: textOption(options, "description") ?? "",
    stage: choiceOption(options, "stage", RULE_STAGES) ?? "draft",
    share: shareOf(options) ?? 0.1,
    owner: textOption(options, "owner") ?? "",
  };
  const replace = options.replace === true;
  const result = await addRule(context.ports(), { ...byOf(context, { options }), rule, replace });
  show(context.output, result);
  return { yes: true, json: result };
}

async function stage(context: VerbContext, { args, options }: VerbInput): Promise<VerbResult> {
  const id = needed(args[1], "stage", "an id and a stage: sentinel rules stage big-crypto live");
  const word = needed(args[2], "stage", `a stage: ${RULE_STAGES.join(", ")}`);
  const to = RULE_STAGES.find((one) => one === word);
  if (to === undefined) {
    throw new SentinelError("cli.usage", `${word} is no stage`, { hint: `stages: ${RULE_STAGES.join(", ")}` });
  }
  const share = shareOf(options);
  const by = byOf(context, { options });
  const result = await stageRule(context.ports(), { ...by, id, stage: to, ...(share === undefined ? {} : { share }) });
  show(context.output, result);
  return { yes: true, json: result };
}

async function remove(context: VerbContext, { args, options }: VerbInput): Promise<VerbResult> {
  const id = needed(args[1], "remove", "an id");
  const result = await removeRule(context.ports(), { ...byOf(context, { options }), id });
  show(context.output, result);
  return { yes: true, json: result };
}

async function history(context: VerbContext): Promise<VerbResult> {
  const entries = await rulesHistory(context.ports());
  const { output } = context;
  for (const entry of entries) {
    const at = new Date(entry.at).toISOString().slice(0, 19);
    const moved = entry.live.from === entry.live.to ? "" : `  live ${short(entry.live.from)} → ${short(entry.live.to)}`;
    output.line(`${at}  ${entry.actor}  ${entry.verb}${entry.verdict === "" ? "" : ` ${entry.verdict}`}${moved}`);
    for (const change of entry.changes) output.line(`    ${visible(change)}`);
    if (entry.reason !== "") output.line(`    why: ${visible(entry.reason)}`);
  }
  if (entries.length === 0) output.line("nothing has happened yet");
  return { yes: true, json: entries };
}

async function rollback(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const to = textOption(options, "to");
  const by = byOf(context, { options });
  const result = await rollbackRules(context.ports(), {
    ...by,
    reason: by.reason ?? "",
    ...(to === undefined ? {} : { to }),
  });
  context.output.line(`rule set ${short(result.to)} decides again, instead of ${short(result.from)}`);
  return { yes: true, json: result };
}

function byOf(context: VerbContext, { options }: Pick<VerbInput, "options">) {
  const reason = textOption(options, "reason");
  return {
    pipeline: context.pipeline(),
    actor: context.config.actor,
    ...(reason === undefined ? {} : { reason }),
    ...(options.candidate === true ? { side: "candidate" as const } : {}),
  };
}

function show(output: Output, { changes, done, set }: ChangeResult): void {
  for (const change of changes) output.line(`  ${visible(change)}`);
  if (changes.length === 0) output.line("nothing to do");
  else output.line(done ? `done: rule set ${short(set)}` : "not done: this is the plan");
}

function short(hash: string | null): string {
  return hash === null ? "none" : hash.slice(0, 12);
}

function shareOf(options: VerbInput["options"]): number | undefined {
  const share = numberOption(options, "share");
  if (share === undefined || (share >= 0 && share <= 1)) return share;
  throw new SentinelError("cli.usage", `--share ${share} is no share`, { hint: "write a number from 0 to 1" });
}

function needed(value: string | undefined, action: string, what: string): string {
  if (value !== undefined && value !== "") return value;
  throw new SentinelError("cli.usage", `\`sentinel rules ${action}\` needs more`, { hint: `give ${what}` });
}
