// Chaos: a load of plain transactions by workers, each with one request under way, and what became of every one.
import { messageOf } from "../core/errors.ts";
import type { Random } from "../core/random.ts";

export interface LoadOptions {
  readonly url: URL;
  readonly requests: number;
  readonly workers: number;
  readonly random: Random;
  /** Begins every id. */
  readonly prefix: string;
  readonly key: string | null;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

export interface LoadReport {
  readonly requests: number;
  readonly workers: number;
  readonly perSecond: number;
  /** Answered by a brain. */
  readonly success: number;
  /** Answered by the policy: no brain was asked because all are left alone, or for another reason. */
  readonly circuitOpen: number;
  readonly policy: number;
  /** 4xx. */
  readonly refused: number;
  /** 5xx, or no answer. */
  readonly failed: number;
  /** The first few reasons, each once. */
  readonly failures: readonly string[];
  readonly ms: { readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number };
}

/** A request that hangs for longer has failed. */
const ANSWER_MS_MAX = 10_000;
const FAILURES_SHOWN = 5;
const USERS = 1000;
const CURRENCIES = ["USD", "EUR", "GBP"];

/** Never rejects: what fails is counted. */
export async function load(options: LoadOptions): Promise<LoadReport> {
  const { requests, workers, random, prefix, now } = options;
  const counts = { success: 0, circuitOpen: 0, policy: 0, refused: 0, failed: 0 };
  const failures = new Set<string>();
  const times = new Float64Array(requests);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let number = next++; number < requests; number = next++) {
      const body = JSON.stringify({
        transaction_id: `${prefix}-${number}`,
        amount: Math.round(random.uniform(0, 1000) * 100) / 100,
        currency: CURRENCIES[random.integer(CURRENCIES.length)],
        user_id: `user_${random.integer(USERS)}`,
      });
      const begun = now();
      const { outcome, fault } = await send(options, body);
      times[number] = now() - begun;
      counts[outcome]++;
      if (fault !== undefined && failures.size < FAILURES_SHOWN) failures.add(fault);
    }
  };
  const begun = now();
  await Promise.all(Array.from({ length: Math.min(workers, requests) }, worker));
  const seconds = Math.max(1e-3, (now() - begun) / 1000);
  times.sort();
  const at = (share: number): number => times[Math.min(requests - 1, Math.floor(share * requests))];
  return {
    requests,
    workers,
    perSecond: requests / seconds,
    ...counts,
    failures: [...failures],
    ms: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: times[requests - 1] },
  };
}

type Outcome = "success" | "circuitOpen" | "policy" | "refused" | "failed";

async function send(
  { url, key }: LoadOptions,
  body: string,
): Promise<{ readonly outcome: Outcome; readonly fault?: string }> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body,
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const text = await response.text();
    if (response.status >= 500) return { outcome: "failed", fault: `status ${response.status}` };
    if (response.status >= 400) return { outcome: "refused", fault: `status ${response.status}` };
    const answer = JSON.parse(text) as {
      readonly answered_by?: string;
      readonly degraded?: boolean;
      readonly circuit?: string;
    };
    if (answer.circuit === "open") return { outcome: "circuitOpen" };
    return { outcome: answer.answered_by === "policy" || answer.degraded === true ? "policy" : "success" };
  } catch (error) {
    return { outcome: "failed", fault: messageOf(error) };
  }
}
