// A command with all processes below it: processor time by kind and peak memory, as Linux counts them.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** Processes live for seconds: what one does after the last look at it is lost. */
const LOOK_MS = 100;
/** Linux counts processor time in hundredths of a second, on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4096;

export interface TreeUse {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Of processes whose command line has the marked word. */
  readonly markedCpuSeconds: number;
  readonly markedRssBytes: number;
  /** Of the command's own process. */
  readonly rootRssBytes: number;
}

interface Seen {
  readonly isMarked: boolean;
  ticks: number;
}

/** Runs a command to its end. Errors: where it ends with another code than 0. */
export async function runTree(
  command: readonly string[],
  options: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string | undefined>>;
    readonly marked: string;
  },
): Promise<TreeUse> {
  const started = performance.now();
  const child = spawn(command[0], command.slice(1), { ...options, stdio: ["ignore", "ignore", "pipe"] });
  let words = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    words = (words + text).slice(-4000);
  });
  const seen = new Map<string, Seen>();
  let markedRssBytes = 0;
  let rootRssBytes = 0;
  const look = (): void => {
    for (const { id, ticks, rssBytes, text } of treeOf(child.pid!)) {
      if (id.startsWith(`${child.pid!} `)) rootRssBytes = Math.max(rootRssBytes, rssBytes);
      const known = seen.get(id) ?? { isMarked: text().includes(options.marked), ticks: 0 };
      known.ticks = Math.max(known.ticks, ticks);
      seen.set(id, known);
      if (known.isMarked) markedRssBytes = Math.max(markedRssBytes, rssBytes);
    }
  };
  const timer = setInterval(look, LOOK_MS);
  const code = await new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${words}`);
  const cpu = (all: readonly Seen[]): number => all.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
  return {
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: cpu([...seen.values()]),
    markedCpuSeconds: cpu([...seen.values()].filter(({ isMarked }) => isMarked)),
    markedRssBytes,
    rootRssBytes,
  };
}

interface Process {
  readonly id: string;
  readonly ticks: number;
  readonly rssBytes: number;
  text(): string;
}

/** The process and those below it, now. */
function treeOf(root: number): Process[] {
  const parents = new Map<number, number>();
  const found = new Map<number, Process>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const stat = readOr(`/proc/${pid}/stat`);
    // The command's name stands in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields.length < 22) continue;
    parents.set(pid, Number(fields[1]));
    found.set(pid, {
      // A number is given again: the time of the start tells processes apart.
      id: `${pid} ${fields[19]}`,
      ticks: Number(fields[11]) + Number(fields[12]),
      rssBytes: Number(fields[21]) * PAGE_BYTES,
      text: () => readOr(`/proc/${pid}/cmdline`),
    });
  }
  const isBelow = (pid: number): boolean => {
    for (let at: number | undefined = pid; at !== undefined && at > 0; at = parents.get(at))
      if (at === root) return true;
    return false;
  };
  return [...found].filter(([pid]) => isBelow(pid)).map(([, one]) => one);
}

function readOr(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
