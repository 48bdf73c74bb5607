// A process killed in the middle of its changes leaves the state before the last one or the one after, whatever the store is on.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { verifyJournal } from "../../../src/core/journal.ts";
import type { AuditEntry, Store } from "../../../src/ports/store.ts";

const KILLS = 3;

/** `open` connects anew, as the next process would. */
export async function killAndLook(of: {
  readonly workspace: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly open: () => Promise<Store & { close(): Promise<void> }>;
}): Promise<void> {
  let revisions = 0;
  for (let turn = 0; turn < KILLS; turn++) {
    const child = start(of.workspace, of.environment);
    await once(child.stdout!, "data");
    // Any moment will do: what is looked at holds at each of them.
    await sleep(10 + turn * 17);
    child.kill("SIGKILL");
    await once(child, "exit");
    const store = await of.open();
    revisions = await lookAt(store, revisions);
    await store.close();
  }
}

async function lookAt(store: Store, before: number): Promise<number> {
  const rules = store.rules("card");
  const head = await rules.head();
  expect(head.revision).toBeGreaterThan(before);
  const journal = await rules.journal();
  expect(journal.length).toBe(head.revision);
  expect(verifyJournal(journal)).toMatchObject({ ok: true });
  // The last entry, the live set and the list belong to one change.
  const set = await rules.set(head.live!);
  expect(set.rules.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => `r${head.revision - 1}-${i}`));
  expect(journal.at(-1)).toMatchObject({ live: { to: head.live }, changes: [`to ${head.revision - 1}`] });
  expect(await rules.lists()).toEqual({ listed: head.revision * 3 });
  expect((await rules.list("listed")).length).toBe(head.revision * 3);
  expect((await store.ruleNumbers.of("card")).size).toBe(head.revision * set.rules.length);
  const audit: AuditEntry[] = [];
  for (let more = true; more; ) {
    const entries = await store.audit.scan(audit.length, 1000);
    audit.push(...entries);
    more = entries.length === 1000;
  }
  expect(verifyJournal(audit)).toMatchObject({ ok: true });
  expect(audit.filter(({ subject }) => subject === "rules").length).toBe(head.revision);
  const pipeline = await store.pipelines.findBySlug("card");
  expect(audit.filter(({ subject }) => subject === "pipeline").length).toBe(pipeline?.version ?? 0);
  return head.revision;
}

function start(workspace: string, environment: Readonly<Record<string, string>>): ChildProcess {
  const script = fileURLToPath(new URL("./store-child.mjs", import.meta.url));
  return spawn(process.execPath, [script, workspace], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...environment },
    cwd: fileURLToPath(new URL("../../..", import.meta.url)),
  });
}
