// Entries of the audit that say that a person was forgotten: written once per receipt, and asked by whoever keeps rows of a log in memory.
import type { Store } from "../ports/store.ts";
import { PAGE_MAX } from "../ports/store.ts";

const SUBJECT = "forget";

/** Notes a receipt, unless it was noted: a run that was killed after it comes here again. */
export async function noteForgotten(
  { audit }: Pick<Store, "audit">,
  of: {
    readonly receipt: string;
    readonly hash: string;
    readonly places: number;
    readonly by: { readonly actor: string; readonly at: number; readonly reason: string };
  },
): Promise<void> {
  const { receipt, hash, places, by } = of;
  const { items } = await audit.page({ subject: SUBJECT, subjectId: receipt }, { limit: PAGE_MAX });
  const isNoted = items.some(({ after }) => (after as Readonly<Record<string, unknown>> | null)?.receipt === hash);
  if (isNoted) return;
  await audit.append({
    ...{ ...by, action: "forget", subject: SUBJECT, subjectId: receipt, pipeline: null },
    ...{ before: null, after: { receipt: hash, places } },
  });
}

/** The seal of the newest such entry; null: nobody was forgotten, or the entry is older than the audit is kept. */
export async function lastForgotten({ audit }: Pick<Store, "audit">): Promise<string | null> {
  const { items } = await audit.page({ subject: SUBJECT }, { limit: 1 });
  return items[0]?.hash ?? null;
}
