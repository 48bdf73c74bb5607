// Which process left something behind, and whether it still lives.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

export interface Owner {
  readonly pid: number;
  readonly host: string;
  /** When the process started, as the system tells it; "" where it does not. Tells a reused pid from the owner's. */
  readonly started: string;
  /** Since when it owns, in milliseconds since 1970. */
  readonly since: number;
}

export function ownerNow(since: number): Owner {
  return { pid: process.pid, host: hostname(), started: startOf(process.pid), since };
}

/** "unknown" for a process of another machine. */
export function fateOf(owner: Owner): "alive" | "dead" | "unknown" {
  if (owner.host !== hostname()) return "unknown";
  if (!exists(owner.pid)) return "dead";
  const started = startOf(owner.pid);
  return owner.started !== "" && started !== "" && owner.started !== started ? "dead" : "alive";
}

/** null when the text is not an owner. */
export function parseOwner(text: string): Owner | null {
  try {
    const { pid, host, started, since } = JSON.parse(text) as Record<string, unknown>;
    const sound = Number.isSafeInteger(pid) && (pid as number) > 0 && Number.isFinite(since);
    if (!sound || typeof host !== "string" || typeof started !== "string") return null;
    return { pid: pid as number, host, started, since: since as number };
  } catch {
    return null;
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to another user.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Boot and start tick on Linux (proc(5), field 22 of stat): a restarted container reuses both host name and pid. */
function startOf(pid: number): string {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command name, field 2, is in parentheses and may hold anything.
    return `${boot}/${stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]}`;
  } catch {
    return "";
  }
}
