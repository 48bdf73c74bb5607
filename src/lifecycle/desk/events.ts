// Events of the desk: alerts, daily summaries, moves of models and dead letters as CloudEvents with their own words.
import type { CloudEvent } from "../../core/cloud-event.ts";
import { DAY_MS } from "../../core/duration.ts";
import { ERROR_GUIDE } from "../../core/error-guide.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { RULE_SEVERITIES } from "../../core/rule.ts";
import type { CaseAge, CaseDay } from "../../ports/cases.ts";
import type { DeadLetter } from "../../ports/outbox.ts";
import type { JournalEntry } from "../../ports/registry.ts";
import type { Alert, AlertCount } from "../../ports/store.ts";

/** Rules that a message names. */
const RULES_SHOWN_MAX = 10;
/** Causes of dead letters that a message names. */
const CAUSES_SHOWN_MAX = 10;
const TEXT_MAX = 300;

/** A record that is a dead letter now: where it stood at first, and why. */
export interface Buried {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** How often it was a dead letter before. */
  readonly attempts: number;
  readonly code: ErrorCode;
}

/** Dead letters of one topic and one cause. */
export interface LetterCause {
  readonly first: Buried;
  readonly count: number;
}

interface About {
  /** Slug. */
  readonly pipeline: string;
  /** Where people reach this Sentinel, without a slash at its end; null: nobody said. */
  readonly link: string | null;
}

/** Without the transaction: what a message says stands in other people's systems. */
export function alertEvent(alert: Alert, { pipeline, link }: About): CloudEvent {
  const { id, severity, decision, decidedBy, entity, amount, score, transactionId, time, alertedAt } = alert;
  const rules = alert.rules
    .slice(0, RULES_SHOWN_MAX)
    .map((rule) => ({ id: rule.id, description: cut(rule.description) }));
  const why = rules.length > 0 ? rules.map(({ description }) => description) : [`score ${score?.toFixed(4) ?? "none"}`];
  return event(`alert ${pipeline} ${id}`, {
    pipeline,
    type: "com.sentinel.alert",
    subject: `alert ${id}`,
    at: alertedAt,
    data: {
      title: `${pipeline}: ${severity} alert, ${decision}`,
      text: [
        ...why,
        ...(entity === null ? [] : [`entity ${cut(entity)}`]),
        ...(amount === null ? [] : [`amount ${amount}`]),
        ...(transactionId === null ? [] : [`transaction ${cut(transactionId)}`]),
      ],
      link: linkOf(link, `alerts/${id}`),
      severity,
      pipeline,
      alert_id: id,
      decision,
      decided_by: decidedBy,
      rules,
      entity: entity === null ? null : cut(entity),
      amount,
      score,
      transaction_id: transactionId === null ? null : cut(transactionId),
      event_time: new Date(time).toISOString(),
    },
  });
}

/** A day of one pipeline, up to `to`. */
export function dailyEvent(
  { pipeline, link }: About,
  of: {
    readonly to: number;
    readonly alerts: readonly AlertCount[];
    readonly open: readonly CaseAge[];
    readonly closed: readonly CaseDay[];
  },
): CloudEvent {
  const { to, alerts, open, closed } = of;
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
  const raised = Object.fromEntries(
    RULE_SEVERITIES.map((severity) => [
      severity,
      sum(alerts.filter((one) => one.severity === severity).map(({ count }) => count)),
    ]),
  );
  const total = sum(open.map(({ count }) => count));
  const overdue = sum(open.map((one) => one.overdue));
  const ended: Record<string, number> = {};
  for (const { disposition, count } of closed) ended[disposition] = (ended[disposition] ?? 0) + count;
  const words = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ") || "none";
  return event(`daily ${pipeline} ${to}`, {
    pipeline,
    type: "com.sentinel.summary.daily",
    subject: new Date(to).toISOString().slice(0, 10),
    at: to,
    data: {
      title: `${pipeline}: the day until ${new Date(to).toISOString().slice(0, 16).replace("T", " ")} UTC`,
      text: [
        `alerts: ${words(raised)}`,
        `open cases: ${total}, overdue ${overdue}`,
        `closed since the day before: ${words(ended)}`,
      ],
      link: linkOf(link, "cases/summary"),
      severity: "info",
      pipeline,
      from: new Date(to - DAY_MS).toISOString(),
      to: new Date(to).toISOString(),
      alerts: raised,
      open_cases: total,
      overdue,
      closed: ended,
    },
  });
}

/** A model that was promoted or rolled back, as its registry's journal has it. */
export function moveEvent(
  { pipeline, link }: About,
  of: { readonly model: string; readonly entry: JournalEntry },
): CloudEvent {
  const { model, entry } = of;
  const { verb, from, to, actor, reason, verdict, at, hash } = entry;
  const isBack = verb === "rollback";
  return event(`journal ${model} ${hash}`, {
    pipeline,
    type: isBack ? "com.sentinel.model.rollback" : "com.sentinel.model.promotion",
    subject: `${model} ${to ?? "none"}`,
    at,
    data: {
      title: `${pipeline}: ${model} version ${to ?? "none"} ${isBack ? "is back as" : "is"} champion`,
      text: [`before: ${from ?? "none"}`, `by ${actor}, verdict ${verdict}`, ...(reason === "" ? [] : [cut(reason)])],
      link: linkOf(link, "audit"),
      severity: isBack || verdict === "FORCED" ? "warning" : "info",
      pipeline,
      model,
      verb,
      from,
      to,
      actor,
      verdict,
      reason: cut(reason),
    },
  });
}

export function deadLetterEvent(
  letter: Omit<DeadLetter, "diedAt" | "nextAt">,
  { link, at }: { readonly link: string | null; readonly at: number },
): CloudEvent {
  const { id, target, notice, cause, tries, pipeline } = letter;
  return event(`dead ${id} ${target}`, {
    pipeline: pipeline ?? "",
    type: "com.sentinel.dead-letter",
    subject: `message ${id}`,
    at,
    data: {
      title: `${target} did not take a message (${notice})`,
      text: [cause, `${tries} tries`],
      link: linkOf(link, "notifications"),
      severity: "warning",
      pipeline,
      message_id: id,
      target,
      notice,
      cause,
      tries,
    },
  });
}

/**
 * What a stream could not judge, together: the most frequent causes with their counts. Nothing of a record stands in it, as faults name values
 * of people.
 */
export function streamLettersEvent(
  { pipeline, link }: About,
  of: {
    readonly deadLetters: string;
    readonly since: number;
    readonly until: number;
    readonly causes: readonly LetterCause[];
  },
): CloudEvent {
  const { deadLetters, since, until } = of;
  const causes = [...of.causes].sort((a, b) => b.count - a.count || (nameOf(a.first) < nameOf(b.first) ? -1 : 1));
  const count = causes.reduce((sum, one) => sum + one.count, 0);
  const shown = causes.slice(0, CAUSES_SHOWN_MAX);
  const rest = causes.slice(CAUSES_SHOWN_MAX).reduce((sum, one) => sum + one.count, 0);
  const topics = [...new Set(causes.map(({ first }) => first.topic))].sort();
  return event(`letters ${pipeline} ${nameOf(causes[0].first)} ${since}`, {
    pipeline,
    type: "com.sentinel.stream.dead-letters",
    subject: deadLetters,
    at: until,
    data: {
      title: `${pipeline}: ${count} ${count === 1 ? "record" : "records"} of ${topics.join(" and ")} could not be judged`,
      text: [
        ...shown.map(
          ({ first, count: some }) =>
            `${some} of ${first.topic}: ${ERROR_GUIDE[first.code].meaning} (${first.code}); the first is ${placeOf(first)}`,
        ),
        ...(rest === 0 ? [] : [`${rest} for other causes`]),
        `They are in ${deadLetters}; once the cause is gone, sentinel stream --from-dead-letters judges them again`,
      ],
      link: linkOf(link, `pipelines/${encodeURIComponent(pipeline)}`),
      severity: "warning",
      pipeline,
      dead_letters: deadLetters,
      from: new Date(since).toISOString(),
      to: new Date(until).toISOString(),
      count,
      causes: shown.map(({ first, count: some }) => {
        const { code, topic, partition, offset } = first;
        return { code, topic, count: some, first: { partition, offset } };
      }),
    },
  });
}

function placeOf({ partition, offset }: Buried): string {
  return `partition ${partition}, offset ${offset}`;
}

function nameOf({ code, topic, partition, offset, attempts }: Buried): string {
  return `${code} ${topic}/${partition}/${offset} ${attempts}`;
}

function event(
  happening: string,
  of: {
    readonly pipeline: string;
    readonly type: string;
    readonly subject: string;
    readonly at: number;
    readonly data: object;
  },
): CloudEvent {
  return {
    specversion: "1.0",
    id: sha256(happening).slice(0, 32),
    source: of.pipeline === "" ? "/sentinel" : `/sentinel/pipelines/${encodeURIComponent(of.pipeline)}`,
    type: of.type,
    subject: of.subject,
    time: new Date(of.at).toISOString(),
    datacontenttype: "application/json",
    data: of.data,
  };
}

function linkOf(link: string | null, path: string): string | null {
  return link === null ? null : `${link.replace(/\/+$/, "")}/api/${path}`;
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 1)}…`;
}
