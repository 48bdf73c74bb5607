// `sentinel rules`: rules as code and by hand; what each would have done, what is live, who made it so.
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { RULE_ACTIONS, RULE_SEVERITIES, RULE_STAGES, type Rule } from "../core/rule.ts";
import { isYes, type Verdict } from "../core/verdict.ts";
import { visible } from "../core/visible.ts";
import { writeResults } from "../lifecycle/data/result-files.ts";
import {
  addRule,
  applyRules,
  type Backtest,
  backtestRules,
  type ChangeResult,
  compareRules,
  conflictsOf,
  draftsText,
  percent,
  promoteRules,
  type RuleBacktest,
  type RulesComparison,
  removeRule,
  rollbackRules,
  ruleIn,
  rulesHistory,
  rulesNow,
  stageRule,
  suggestRules,
} from "../lifecycle/rules.ts";
import { choiceOption, numberOption, textOption, timeOption } from "./options.ts";
import type { Output } from "./output.ts";
import type { Verb, VerbContext, VerbInput, VerbResult } from "./verb.ts";

type Action = (context: VerbContext, input: VerbInput) => Promise<VerbResult>;

export const verb: Verb = {
  args: "[action] [id] [stage]",
  options: [
    ["--check", "apply: only show the plan; exit 1 when there is something to do"],
    ["--candidate", "apply, add, stage: change the candidate rule set, which decides nothing, instead of the live one"],
    ["--file <file>", "apply: another file than pipelines/NAME.rules.yaml"],
    ["--when <condition>", "add, backtest: the SQL condition"],
    ["--action <action>", `add: ${RULE_ACTIONS.join(", ")} (default review)`],
    ["--severity <severity>", `add: ${RULE_SEVERITIES.join(", ")} (default warning)`],
    ["--description <text>", "add: what an analyst should read beside a hit"],
    ["--stage <stage>", `add: ${RULE_STAGES.join(", ")} (default draft)`],
    ["--owner <name>", "add: who answers for the rule"],
    ["--replace", "add: replace the rule of this id"],
    ["--share <share>", "add, stage: of the entities, in stage rollout (default 0.1)"],
    ["--data <file>", "backtest, conflicts, suggest: a table (default: the pipeline's source)"],
    ["--log", "backtest, conflicts: what the servers answered, from the log"],
    ["--from <time>", "backtest: judge transactions from then on; those before fill the windows"],
    ["--until <time>", "backtest: judge transactions until then"],
    ["--no-model", "backtest: do not ask the champion, which takes most of the time"],
    ["--out <file>", "suggest: write the drafts there, as a rules file"],
    ["--to <hash>", "rollback: the rule set to put back (default: the one before)"],
    ["--force", "stage, promote: although the gate said HOLD or REJECT; with --reason"],
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

const ACTIONS: Readonly<Record<string, Action>> = {
  list,
  apply,
  add,
  stage,
  backtest,
  conflicts,
  suggest,
  compare,
  promote,
  remove,
  history,
  rollback,
};

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
  const rule: Rule = { ...ruleOf(options, id), when };
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
  const forced = options.force === true;
  if (forced && by.reason === undefined) throw needsReason();
  const wanted = { ...by, id, stage: to, ...(share === undefined ? {} : { share }) };
  // Going live asks the gate; a candidate decides nothing, so that its rules need no gate of their own.
  const gate = (to === "live" || to === "rollout") && by.side === undefined ? await gateOf(context, id) : null;
  const verdict = gate?.verdict ?? null;
  if (verdict !== null) context.output.line(`${verdict.verdict}: ${verdict.reasons.join("; ")}`);
  if (verdict !== null && !isYes(verdict) && !forced) {
    context.output.line(`rule ${id} stays as it is; --force --reason "…" overrides, and is written into the journal`);
    return { yes: false, json: { done: false, verdict } };
  }
  const gateWord = verdict === null ? "" : isYes(verdict) ? verdict.verdict : "FORCED";
  const judged = gate === null ? {} : { judged: gate.rule };
  const result = await stageRule(context.ports(), { ...wanted, ...judged, verdict: gateWord });
  show(context.output, result);
  return { yes: true, json: { ...result, verdict } };
}

/** The gate of one rule, on the pipeline's table; HOLD where there is none. With the rule that it saw. */
async function gateOf(context: VerbContext, id: string): Promise<{ readonly rule: Rule; readonly verdict: Verdict }> {
  const pipeline = context.pipeline();
  const { live } = await rulesNow(context.ports(), pipeline);
  const { rule } = ruleIn(live, id);
  const hold = (why: string): Verdict => ({ gate: "rule", verdict: "HOLD", reasons: [why], checks: [] });
  try {
    const drafts = [{ ...rule, stage: "draft" as const }];
    const { rules } = await backtestRules(context.ports(), { pipeline, path: pipeline.source, drafts });
    return { rule, verdict: rules.find((one) => one.rule.id === id)!.verdict };
  } catch (error) {
    if (!(error instanceof SentinelError) || !error.code.startsWith("dataset.")) throw error;
    return { rule, verdict: hold(`there is no past to judge it on: ${error.message}`) };
  }
}

function needsReason(): SentinelError {
  return new SentinelError("cli.usage", "--force needs --reason", {
    hint: 'write --reason "…": the journal keeps why a gate was overridden',
  });
}

async function compare(context: VerbContext): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const report = await compareRules(context.ports(), { pipeline, seed: pipeline.modelParameters.seed });
  showComparison(context.output, report);
  return { yes: isYes(report.verdict), json: report };
}

async function promote(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const reason = textOption(options, "reason");
  if (options.force === true && reason === undefined) throw needsReason();
  const result = await promoteRules(context.ports(), {
    pipeline,
    actor: context.config.actor,
    forced: options.force === true ? reason! : null,
    seed: pipeline.modelParameters.seed,
  });
  showComparison(context.output, result);
  const moved = `rule set ${short(result.candidate)} decides`;
  context.output.line(result.moved ? moved : 'the live rule set stays; --force --reason "…" overrides');
  return { yes: result.moved, json: result };
}

function showComparison(output: Output, report: RulesComparison): void {
  output.line(
    `live ${short(report.live)} against candidate ${short(report.candidate)}: ${report.pairs} transactions that both decided, ${report.matured} matured with ${report.frauds} frauds`,
  );
  const names = ["approve", "review", "block"];
  output.table([
    ["live \\ candidate", ...names],
    ...report.agreement.map((row, at) => [names[at], ...row.map(String)]),
  ]);
  for (const one of [report.alertRate, report.recall, report.precision]) {
    if (one === null) continue;
    output.line(
      `  ${one.metric}: ${percent(one.observedA)} → ${percent(one.observedB)} (difference ${percent(one.low)} to ${percent(one.high)})`,
    );
  }
  if (report.unknowable > 0)
    output.line(
      `  ${report.unknowable} were blocked, and nobody knows what they would have been: they are left out; the candidate would approve ${report.unknowableApproved} of them`,
    );
  output.verdict(report.verdict);
}

async function backtest(context: VerbContext, { args, options }: VerbInput): Promise<VerbResult> {
  const when = textOption(options, "when");
  const id = args[1];
  const draft: Rule | null = when === undefined ? null : { ...ruleOf(options, id ?? "this"), when, stage: "draft" };
  const report = await backtestRules(context.ports(), {
    ...pastOf(context, options),
    ...(draft === null ? {} : { drafts: [draft] }),
  });
  const wanted = draft?.id ?? id;
  const shown = wanted === undefined ? report.rules : report.rules.filter(({ rule }) => rule.id === wanted);
  if (shown.length === 0) {
    throw new SentinelError(
      "rules.unknown",
      wanted === undefined ? "there are no rules" : `there is no rule ${wanted}`,
      {
        hint: "give a condition with --when, or add rules first; `sentinel rules list` shows them",
      },
    );
  }
  showBacktest(context.output, { ...report, rules: shown });
  const one = shown.length === 1 ? shown[0] : null;
  return { yes: one === null || one.verdict.verdict === "PROMOTE", json: { ...report, rules: shown } };
}

async function conflicts(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const { path, ...rest } = pastOf(context, options);
  const asked = options.log === true || textOption(options, "data") !== undefined;
  const report = await conflictsOf(context.ports(), { ...rest, past: asked ? { path } : null });
  const { output } = context;
  for (const finding of report.findings) {
    const other = "other" in finding ? ` and ${finding.other}` : "";
    output.line(`  ${finding.kind}: ${finding.rule}${other}: ${finding.why}`);
  }
  if (report.findings.length === 0) output.line("nothing can be proven against these rules");
  if (report.left > 0) output.line(`${report.left} more rules were not compared with each other`);
  const { measured } = report;
  if (measured === null) output.line("\n  --data FILE or --log shows which rules really fire together");
  else if (measured.pairs.length > 0) {
    output.table([
      ["rule", "and", "both", "of the first", "of the second"],
      ...measured.pairs
        .slice(0, PAIRS_SHOWN)
        .map(({ rule, other, both, shareOfRule, shareOfOther }) => [
          rule,
          other,
          String(both),
          percent(shareOfRule),
          percent(shareOfOther),
        ]),
    ]);
  }
  return { yes: !report.findings.some(({ kind }) => !kind.startsWith("undecided")), json: report };
}

async function suggest(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const pipeline = context.pipeline();
  const found = await suggestRules(context.ports(), {
    pipeline,
    path: textOption(options, "data") ?? pipeline.source,
    seed: pipeline.modelParameters.seed,
  });
  const { output } = context;
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  output.line(`mined from transactions before ${day(found.minedTo)}, judged on those from ${day(found.judgedFrom)} on`);
  for (const one of found.drafts) {
    output.line(`  ${one.rule.id}: ${one.rule.when}`);
    const beyond =
      one.beyondModel === null
        ? `${one.onlyMe} only by it`
        : `${one.beyondModel.frauds} beyond the model, of ${one.beyondModel.hits} hits`;
    output.line(
      `    ${one.verdict.verdict}: precision ${percent(one.precision.value)} (${percent(one.precision.low)}–${percent(one.precision.high)}), ${beyond}`,
    );
  }
  if (found.drafts.length === 0) output.line("nothing was found that later days confirm");
  const gain = found.atBudget;
  if (gain !== null) {
    output.line(
      `at ${percent(found.budget)} of the traffic reviewed: recall ${percent(gain.observedA)} by the model, ${percent(gain.observedB)} with these rules first (difference ${percent(gain.difference)}, ${percent(gain.low)} to ${percent(gain.high)})`,
    );
    output.line(gain.low > 0 ? "  together they add recall" : "  together they do not surely add recall");
  }
  const file = textOption(options, "out");
  if (file !== undefined) {
    writeResults(path.dirname(file), { [path.basename(file)]: draftsText(found.drafts) });
    output.line(`drafts are in ${file}`);
  }
  return { yes: found.drafts.length > 0, json: found };
}

const PAIRS_SHOWN = 20;

function pastOf(context: VerbContext, options: VerbInput["options"]) {
  const pipeline = context.pipeline();
  const [from, to] = [timeOption(options, "from"), timeOption(options, "until")];
  return {
    pipeline,
    path: options.log === true ? null : (textOption(options, "data") ?? pipeline.source),
    model: options.model !== false,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
  };
}

function showBacktest(output: Output, report: Backtest): void {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  output.line(
    `${report.rows.toLocaleString("en")} transactions of ${visible(report.where)}, judged ${day(report.from)} … ${day(report.to)}, truths known until ${day(report.maturedTo)}`,
  );
  const model = report.model === null ? "no model beside the rules" : `beside model version ${report.model}`;
  output.line(`${report.frauds.toLocaleString("en")} frauds (${percent(report.fraudRate)}), ${model}`);
  for (const note of report.notes) output.line(`  ! ${note}`);
  const range = ({
    value,
    low,
    high,
  }: {
    readonly value: number;
    readonly low: number;
    readonly high: number;
  }): string => (Number.isNaN(value) ? "unknown" : `${percent(value)} (${percent(low)}–${percent(high)})`);
  output.table([
    ["rule", "fires/day", "alerts/day", "precision", "recall", "only it", "beyond model", "µs", "verdict"],
    ...report.rules.map((one) => [
      one.rule.id,
      one.firesPerDay.toFixed(1),
      one.alertsPerDay.toFixed(1),
      range(one.precision),
      range(one.recall),
      String(one.onlyMe),
      one.beyondModel === null ? "-" : `${one.beyondModel.frauds} of ${one.beyondModel.hits}`,
      one.micros.toFixed(2),
      one.verdict.verdict,
    ]),
  ]);
  for (const one of report.rules) showRule(output, one);
}

function showRule(
  output: Output,
  { rule, verdict, overlap, money, immature, unknowable, unready }: RuleBacktest,
): void {
  output.line(`  ${rule.id}: ${verdict.verdict}: ${verdict.reasons.join("; ")}`);
  if (money !== null && money.frauds > 0) {
    const whole = (sum: number): string => Math.round(sum).toLocaleString("en");
    const beyond = money.beyondModel === null ? "" : `, ${whole(money.beyondModel)} beyond model and rules`;
    output.line(`    money of frauds: ${whole(money.frauds)}, ${whole(money.onlyMe)} only by it${beyond}`);
  }
  if (overlap.length > 0) {
    output.line(`    fires with: ${overlap.map((one) => `${one.rule} ${percent(one.share)}`).join(", ")}`);
  }
  const left = [
    immature > 0 ? `${immature} hits are too young to be judged` : "",
    unknowable > 0 ? `of ${unknowable} hits nobody knows the truth` : "",
    unready > 0 ? `on ${unready} transactions its windows were not filled` : "",
  ].filter((words) => words !== "");
  if (left.length > 0) output.line(`    ${left.join("; ")}`);
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

function ruleOf(options: VerbInput["options"], id: string): Omit<Rule, "when"> {
  return {
    id,
    action: choiceOption(options, "action", RULE_ACTIONS) ?? "review",
    severity: choiceOption(options, "severity", RULE_SEVERITIES) ?? "warning",
    description: textOption(options, "description") ?? "",
    stage: choiceOption(options, "stage", RULE_STAGES) ?? "draft",
    share: shareOf(options) ?? 0.1,
    owner: textOption(options, "owner") ?? "",
  };
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

function show(output: Output, { changes, done, set, faults }: ChangeResult): void {
  for (const change of changes) output.line(`  ${visible(change)}`);
  if (changes.length === 0) output.line("nothing to do");
  else output.line(done ? `done: rule set ${short(set)}` : "not done: this is the plan");
  for (const { id, message } of faults) output.warn(`rule ${id} cannot be asked and decides nothing: ${message}`);
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
