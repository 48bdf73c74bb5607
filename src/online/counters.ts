// Counters: what the engine reports of its work. A door implements them with whatever it measures by.
import type { ErrorCode } from "../core/errors.ts";
import type { ChaosFault } from "./chaos.ts";
import type { Reply } from "./reply.ts";

export interface Counters {
  /** One transaction was judged (or answered by policy); `latencyMs` is the time to read its vector and score it. */
  answered(reply: Reply, latencyMs: number): void;
  /** A transaction was answered before, and got the same reply again. */
  repeated(): void;
  /** The log had no room for a record. */
  recordDropped(kind: "prediction" | "label"): void;
  /** An answer was refused because the log cannot take its record; by code. */
  logRefused(code: string): void;
  /** A transaction was judged and not learned: it came later than the state's lateness allows. */
  tooLate(): void;
  /** A transaction was dated ahead of the clock, by so many milliseconds. */
  ahead(ms: number): void;
  /** The feature state could not learn a transaction. */
  learnFailed(): void;
  /** The shared feature state did not answer, so the policy did. */
  stateFailed(code: string): void;
  /** A field that the champion's features read did not come: not sent, null, or a text where a number is read. */
  fieldLacking(field: string, how: "absent" | "null" | "text"): void;
  labelled(outcome: "accepted" | ErrorCode): void;
  /** The review threshold moved, because it follows the budget. */
  thresholdMoved(): void;
  /** A transaction belongs to no segment that the policy has thresholds for, so those of all judged it. */
  segmentUnseen(): void;
  /** Another bundle became the champion. */
  swapped(): void;
  /** A version could not be loaded or warmed. */
  versionBroken(code: string): void;
  /** Another rule set began to serve. */
  rulesSwapped(): void;
  /** The rules could not be read, a rule cannot be asked, or one failed while it was asked; by code. */
  rulesFailed(code: string): void;
  /** So many alerts are in the store; with a code: the store did not take a batch, which is tried again. */
  alerted(count: number, code: string | null): void;
  /** An answer found no room among those that wait to become alerts: its alert is made from the log. */
  alertLate(): void;
  /** The feature state could not be saved. */
  persistFailed(): void;
  /** An answer is late or failed on purpose. */
  chaos(fault: ChaosFault): void;
}

/** Counts nothing: for replays, tests and programs that embed the engine. */
export const noCounters: Counters = {
  answered() {},
  repeated() {},
  recordDropped() {},
  logRefused() {},
  tooLate() {},
  ahead() {},
  learnFailed() {},
  stateFailed() {},
  fieldLacking() {},
  labelled() {},
  thresholdMoved() {},
  segmentUnseen() {},
  swapped() {},
  versionBroken() {},
  rulesSwapped() {},
  rulesFailed() {},
  alerted() {},
  alertLate() {},
  persistFailed() {},
  chaos() {},
};

/** Where the engine writes what an operator should read; pino's logger is one. */
export interface EngineLog {
  info(facts: object, text: string): void;
  warn(facts: object, text: string): void;
  error(facts: object, text: string): void;
}

/** Writes nothing. */
export const silentLog: EngineLog = { info() {}, warn() {}, error() {} };
