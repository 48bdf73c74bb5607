// A ledger that is opened when it is first used, and tried again where that fails.
import type { Ledger } from "../../ports/ledger.ts";

/** What has a ledger, such as the store. */
export interface LedgerHolder {
  readonly ledger: Ledger;
  close(): Promise<void>;
}

/** One opening at a time; one that failed is forgotten, and the next call opens again. */
export function laterLedger(open: () => Promise<LedgerHolder>): LedgerHolder {
  let opening: Promise<LedgerHolder> | null = null;
  const opened = async (): Promise<Ledger> => {
    opening ??= open().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return (await opening).ledger;
  };
  return {
    ledger: {
      append: async (entries) => (await opened()).append(entries),
      find: async (id) => (await opened()).find(id),
      pending: async (limit) => (await opened()).pending(limit),
      settle: async (id, later) => (await opened()).settle(id, later),
      counts: async () => (await opened()).counts(),
      older: async (before) => (await opened()).older(before),
      forget: async (of) => (await opened()).forget(of),
    },
    async close() {
      const holder = await opening?.catch(() => null);
      await holder?.close();
    },
  };
}
