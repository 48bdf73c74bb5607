// The history of cases in the store: events of one case in the order in which they happened.
import type { CaseEvent } from "../../../core/case.ts";
import { checkText, whole } from "./limits.ts";
import type { SqlTransaction } from "./tables.ts";
import { stored } from "./text.ts";

/** Goes on after the last event. Only where the counter of cases is held. */
export async function writeEvent(sql: SqlTransaction, id: number, event: CaseEvent): Promise<void> {
  checkText("what happened to a case", event.action);
  const { last } = await sql
    .selectFrom("case_events")
    .select((row) => row.fn.max<number | null>("place").as("last"))
    .where("case_id", "=", id)
    .executeTakeFirstOrThrow();
  await sql
    .insertInto("case_events")
    .values({
      case_id: id,
      place: last === null ? 0 : Number(last) + 1,
      at: whole("the time of an event", event.at),
      actor: stored(event.by),
      action: event.action,
      words: stored(event.text),
    })
    .execute();
}
