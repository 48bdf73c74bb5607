// An alarm to a webhook: a CloudEvent (1.0, structured JSON), sent again on failure, kept in a dead-letter file when nobody takes it.
import { type CloudEvent, receiptOf } from "../../core/cloud-event.ts";
import { sha256 } from "../../core/hash.ts";
import type { MonitorResult } from "./result.ts";

/** What an alarm tells. */
export type AlarmEvent = CloudEvent<
  "com.sentinel.monitor.alarm",
  {
    readonly pipeline: string;
    readonly version: string;
    readonly verdict: string;
    readonly reasons: readonly string[];
    readonly features: readonly string[];
    readonly from: number;
    readonly to: number;
    readonly rows: number;
  }
>;

const TRIES = 4;
const WAIT_MS_FIRST = 500;
const REASONS_MAX = 20;

/** How it gets out; `post` resolves to the HTTP status, or rejects when there was no answer. */
export interface AlarmWays {
  post(body: string): Promise<number>;
  sleep(ms: number): Promise<void>;
  /** One line of JSON for what could not be delivered. */
  deadLetter(line: string): Promise<void>;
}

export interface Delivery {
  readonly delivered: boolean;
  readonly tries: number;
  /** Why not; null when it was. */
  readonly reason: string | null;
}

export function alarmEvent(
  result: MonitorResult,
  given: { readonly pipeline: string; readonly now: number },
): AlarmEvent {
  const { drift, version, from, to } = result;
  const { pipeline, now } = given;
  const features = drift.features.filter(({ drifted }) => drifted).map(({ name }) => name);
  const verdict = drift.alarm ? drift.verdict : "performance fell";
  return {
    specversion: "1.0",
    id: sha256(JSON.stringify([pipeline, version, verdict, to])).slice(0, 32),
    source: `/sentinel/pipelines/${encodeURIComponent(pipeline)}`,
    type: "com.sentinel.monitor.alarm",
    subject: `version ${version}`,
    time: new Date(now).toISOString(),
    datacontenttype: "application/json",
    data: {
      pipeline,
      version,
      verdict,
      reasons: result.reasons.slice(0, REASONS_MAX),
      features,
      from,
      to,
      rows: drift.rows,
    },
  };
}

/** What is worth another try gets it, as silence does, each after twice the wait. Whatever fails is a dead letter. */
export async function deliver(event: AlarmEvent, ways: AlarmWays): Promise<Delivery> {
  const body = JSON.stringify(event);
  let reason = "";
  let tries = 0;
  while (tries < TRIES) {
    if (tries > 0) await ways.sleep(WAIT_MS_FIRST * 2 ** (tries - 1));
    tries++;
    try {
      const status = await ways.post(body);
      const receipt = receiptOf(status);
      if (receipt === "taken") return { delivered: true, tries, reason: null };
      reason = `the receiver answered ${status}`;
      if (receipt === "refused") break;
    } catch (error) {
      reason = `no answer: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  await ways.deadLetter(JSON.stringify({ reason, tries, event }));
  return { delivered: false, tries, reason };
}
