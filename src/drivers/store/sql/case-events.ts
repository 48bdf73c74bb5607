// The history of cases in the store: events of one case in the order in which they happened.
import type { CaseEvent } from "../../../core/case.ts";
import { checkText, whole } from "./limits.ts";
import type { SqlTransaction } from "./tables.ts";
import { stored } from "./text.ts";

export interface EventOfCase {
  readonly id: number;
  readonly event: CaseEvent;
}

/** Goes on after the last event. Only where the counter of cases is held. */
export async function writeEvent(sql: SqlTransaction, id: number, event: CaseEvent): Promise<void> {
  await writeEvents(sql, [{ id, event }]);
}

/** Each goes on after the last one of its case, in the order given. At most two per case of one write of alerts. Only where the counter of cases is held. */
export async function writeEvents(sql: SqlTransaction, events: readonly EventOfCase[]): Promise<void> {
  if (events.length === 0) return;
  for (const { event } of events) checkText("what happened to a case", event.action);
  const found = await sql
    .selectFrom("case_events")
    .select((row) => ["case_id", row.fn.max<number>("place").as("last")])
    .where("case_id", "in", [...new Set(events.map(({ id }) => id))])
    .groupBy("case_id")
    .execute();
  const last = new Map(found.map((row) => [Number(row.case_id), Number(row.last)]));
  const rows = events.map(({ id, event }) => {
    const place = (last.get(id) ?? -1) + 1;
    last.set(id, place);
    return {
      case_id: id,
      place,
      at: whole("the time of an event", event.at),
      actor: stored(event.by),
      action: event.action,
      words: stored(event.text),
    };
  });
  await sql.insertInto("case_events").values(rows).execute();
}
