// Watch: the guard rails of the champion looked at again and again, beside the server; a broken one is undone where the pipeline says so.
import { SentinelError } from "../core/errors.ts";
import type { Ports } from "../ports/ports.ts";
import { type GuardInput, type GuardResult, rollbackIfBroken } from "./rollback.ts";

/** One look: what it found, or what hindered it. */
export type WatchRound =
  | { readonly guard: GuardResult; readonly fault: null }
  | { readonly guard: null; readonly fault: SentinelError };

/**
 * Looks until `wait` says that it is over. What passes by itself (a registry that does not answer, somebody else's move at the same
 * moment, no champion yet) is reported as a round, and the next one looks again; other errors end it. A look that is killed left nothing
 * half-done: the next one completes what the journal began.
 */
export async function watch(
  ports: Ports,
  input: GuardInput & {
    /** Waits until the next look; false when there is to be none. */
    readonly wait: () => Promise<boolean>;
    readonly onRound: (round: WatchRound) => void;
  },
): Promise<{ readonly rounds: number; readonly moved: number }> {
  let rounds = 0;
  let moved = 0;
  do {
    const round = await look(ports, input);
    rounds++;
    if (round.guard?.moved === true) moved++;
    input.onRound(round);
  } while (await input.wait());
  return { rounds, moved };
}

async function look(ports: Ports, input: GuardInput): Promise<WatchRound> {
  try {
    return { guard: await rollbackIfBroken(ports, input), fault: null };
  } catch (error) {
    const passes = error instanceof SentinelError && (error.kind.retryable || PASSING.includes(error.code));
    if (!passes) throw error;
    return { guard: null, fault: error };
  }
}

/** Not faults of a registry, but over when somebody promotes, or has promoted. */
const PASSING: readonly SentinelError["code"][] = ["lifecycle.no-champion", "registry.conflict"];
