// Following a log: what was decided is archived again and again, and a store that is away is asked again later.

import { archiveDay } from "../../core/archive-names.ts";
import { messageOf, SentinelError } from "../../core/errors.ts";
import type { ArchiveStatus } from "../../ports/archive.ts";
import type { Ports } from "../../ports/ports.ts";
import { compactArchive } from "./maintain.ts";
import { type ArchiveInput, archiveLock, archiveNow } from "./write.ts";

export const NOTHING_ARCHIVED: ArchiveStatus = {
  position: 0,
  behind: 0,
  completeAt: null,
  rows: 0,
  files: 0,
  failures: 0,
  fault: null,
};

export interface Following {
  /** Waits so long, less when it is to stop. */
  readonly wait: (ms: number) => Promise<void>;
  readonly stopping: () => boolean;
  /** True once nobody waits for a batch that is being written: it is left as a crash would leave it. Absent: never. */
  readonly abandoned?: () => boolean;
  readonly tell: (status: ArchiveStatus) => void;
}

/** After a failure: soon, then less and less often. */
const RETRY_MS = 1000;
const RETRY_MS_MAX = 60_000;
/** How often it is reported how far the archive is behind. */
const LOOK_MS = 5000;

/**
 * Archives at once, then every `archive.every`, until it is to stop; then once more. When a day of the clock has ended (`archive.compact`) the files of
 * each day become one. Of several processes that share a log one archives, and the next one when it ends. Never throws: what failed is reported, and
 * tried again.
 */
export async function followLog(ports: Ports, input: ArchiveInput, following: Following): Promise<void> {
  const { wait, stopping, tell, abandoned = () => false } = following;
  const { everyMs, compact } = input.pipeline.archive;
  let compacted = archiveDay(ports.clock.now());
  let status: ArchiveStatus = { ...NOTHING_ARCHIVED, completeAt: ports.clock.now() };
  let lock: { release(): Promise<void> } | null = null;
  const say = (change: Partial<ArchiveStatus>): void => {
    status = { ...status, ...change };
    tell(status);
  };
  const once = async (): Promise<void> => {
    lock ??= await (await ports.lock()).acquire(archiveLock("write", input.pipeline), { everywhere: true });
    const before = status;
    let [rows, files] = [0, 0];
    const began = ports.clock.now();
    const run = await archiveNow(ports, input, {
      abandoned,
      onBatch: ({ days, to, labels }) => {
        for (const tally of Object.values(days)) rows += tally.rows;
        files += Object.keys(days).length + (labels > 0 ? 1 : 0);
        say({ position: to, rows: before.rows + rows, files: before.files + files });
      },
    });
    say({ position: run.position, behind: Math.max(0, run.last - run.position), completeAt: began, fault: null });
    const today = archiveDay(began);
    if (!compact || today === compacted || stopping()) return;
    await compactArchive(ports, input);
    compacted = today;
  };
  let retryMs = RETRY_MS;
  for (;;) {
    const isLast = stopping();
    try {
      await once();
      retryMs = RETRY_MS;
    } catch (error) {
      if (abandoned()) break;
      // Another process archives this log: that is as good.
      if (!(error instanceof SentinelError && error.code === "lifecycle.locked")) {
        const behind = await behindOf(ports, status.position);
        say({ failures: status.failures + 1, fault: faultOf(error), behind: behind ?? status.behind });
        if (!isLast) {
          await wait(retryMs);
          retryMs = Math.min(2 * retryMs, RETRY_MS_MAX);
        }
        if (isLast) break;
        continue;
      }
    }
    if (isLast) break;
    for (let left = everyMs; left > 0 && !stopping(); left -= LOOK_MS) {
      await wait(Math.min(left, LOOK_MS));
      const behind = await behindOf(ports, status.position);
      if (behind !== null && behind !== status.behind) say({ behind });
    }
  }
  await (lock as { release(): Promise<void> } | null)?.release();
}

async function behindOf(ports: Ports, position: number): Promise<number | null> {
  try {
    const { sequence } = await (await ports.log()).last();
    return Math.max(0, sequence - position);
  } catch {
    return null;
  }
}

function faultOf(error: unknown): NonNullable<ArchiveStatus["fault"]> {
  if (error instanceof SentinelError) return { code: error.code, message: error.message, hint: error.hint };
  return { code: "bug.unexpected", message: messageOf(error), hint: "this is a bug: report it with the server's log" };
}
