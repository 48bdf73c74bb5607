// Priority of the running thread: what nobody waits for lets the thread that answers go first.
import { getPriority, setPriority } from "node:os";

/** The lowest priority there is. */
const NICE_MAX = 19;

/**
 * Lowers the priority of the thread that calls by so many steps of `nice`. Linux keeps a priority per thread; elsewhere it belongs to the
 * process, and nothing is changed. Never throws: without the right priority all works, only later answers suffer.
 */
export function lowerOwnPriority(steps: number): void {
  if (process.platform !== "linux") return;
  try {
    setPriority(Math.min(NICE_MAX, getPriority() + steps));
  } catch {
    // A sandbox may forbid it.
  }
}
