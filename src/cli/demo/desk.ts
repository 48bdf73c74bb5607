// The demo's desk: rules beside the model and payments that go on, so that the dashboard has something to show.
import { setTimeout as sleep } from "node:timers/promises";
import type { Table } from "../../core/table.ts";
import { postJson } from "../post.ts";
import { requestOf, rowsOf } from "./traffic.ts";

/** Payments of one request, and the pause behind it: ten or so per second, which leaves the machine to whoever looks. */
const BATCH_MAX = 4;
const PAUSE_MS = 250;
/** After a server that did not answer. */
const RETRY_MS = 2000;

/** What an analyst might have written; the last one is still being tried. */
const RULES: readonly object[] = [
  {
    name: "quick-spree",
    rule_expression: "count_last('30m', customer_id) >= 4 AND amount > 50",
    severity: "critical",
    action: "review",
    description: "Four payments within half an hour",
  },
  {
    name: "large-payment",
    rule_expression: "amount > 220",
    severity: "warning",
    action: "review",
    description: "Large payment",
  },
  {
    name: "small-probe",
    rule_expression: "amount < 1 AND count_last('1h', terminal_id) >= 3",
    severity: "info",
    action: "tag",
    stage: "shadow",
    description: "Cards tested with small amounts at one terminal",
  },
];

/** Adds the rules through the API, as people would. Errors: server.not-ready. */
export async function addRules(url: string): Promise<number> {
  for (const rule of RULES) await postJson(`${url}/api/pipelines/card/rules`, rule, { refused: "server.not-ready" });
  return RULES.length;
}

/**
 * Sends the payments of a simulated day over and over, each with the time of now and an id of its own, until somebody says stop. A server that does
 * not answer is asked again later.
 */
export async function keepSending(
  url: string,
  given: { readonly day: Table; readonly now: () => number; readonly stop: AbortSignal },
): Promise<void> {
  const { day, now, stop } = given;
  const rows = rowsOf(day);
  const begun = now();
  for (let sent = 0; !stop.aborted; ) {
    const count = 1 + (sent % BATCH_MAX);
    const time = now();
    const batch = Array.from({ length: count }, (_, place) => {
      const at = sent + place;
      return requestOf({ ...rows[at % rows.length], id: `live-${begun}-${at}`, time });
    });
    let pause = PAUSE_MS;
    try {
      await postJson(`${url}/predict/batch`, batch, { refused: "server.not-ready" });
      sent += count;
    } catch {
      pause = RETRY_MS;
    }
    await sleep(pause, undefined, { signal: stop }).catch(() => {});
  }
}
