// A load of requests from a process of its own: raw sockets, kept alive, closed loop or open loop; prints rates and latencies.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { quantileOf } from "./bench.ts";

/** What the process is asked: requests over so many connections for so many seconds. */
export interface LoadTask {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** Requests per second on a fixed schedule; absent: each connection sends its next request when its answer is there. */
  readonly rate?: number;
  /** A file of bodies, a JSON array of texts, each with one `@` where the id goes; taken in turn. */
  readonly bodiesFile: string;
  /** Names the ids of this load, so that none was sent before. */
  readonly prefix: string;
  /** Requests that are sent before anything is counted. */
  readonly warmUp: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly answered: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Milliseconds: from the moment the schedule named (open loop), or from sending (closed loop). */
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly p9999Ms: number;
  readonly maxMs: number;
  /** Time of this process's own processor per second; near 1 the load itself is the limit. */
  readonly loadCpu: number;
}

/** Latencies kept; a longer run keeps the first. */
const KEPT_MAX = 4_000_000;
const HEAD_END = Buffer.from("\r\n\r\n");

class Connection {
  readonly socket: Socket;
  onAnswer: (status: number, sentAt: number) => void = () => {};
  private readonly sent: number[] = [];
  private rest: Buffer = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.socket.on("data", (chunk: Buffer) => this.take(chunk));
  }

  get waiting(): number {
    return this.sent.length;
  }

  send(request: string, at: number): void {
    this.sent.push(at);
    this.socket.write(request, "latin1");
  }

  private take(chunk: Buffer): void {
    let data = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    for (;;) {
      const end = data.indexOf(HEAD_END);
      if (end < 0) break;
      const head = data.toString("latin1", 0, end);
      const length = Number(/content-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (data.length < end + 4 + length) break;
      data = data.subarray(end + 4 + length);
      this.onAnswer(Number(head.slice(9, 12)), this.sent.shift() ?? 0);
    }
    this.rest = data;
  }
}

async function run(task: LoadTask): Promise<LoadResult> {
  const { rate, seconds } = task;
  const tally = new Tally();
  const next = requests(task, JSON.parse(readFileSync(task.bodiesFile, "utf8")) as readonly string[]);
  const all = await openConnections(task);
  await warm(all, { next, count: task.warmUp });
  for (const connection of all) {
    connection.onAnswer = (status, sentAt) => {
      tally.add(status, performance.now() - sentAt);
      if (rate === undefined) connection.send(next(), performance.now());
    };
  }
  const cpu = process.cpuUsage();
  const begun = performance.now();
  if (rate === undefined) {
    for (const connection of all) connection.send(next(), performance.now());
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  } else {
    await schedule({ rate, seconds, begun, send: (at) => pick(all).send(next(), at) });
    await settled(all);
  }
  const elapsed = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  for (const { socket } of all) socket.destroy();
  return { ...tally.result(elapsed), loadCpu: (user + system) / 1e6 / elapsed };
}

/** The next request's text at each call. */
function requests({ port, path, prefix }: LoadTask, bodies: readonly string[]): () => string {
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: `;
  let number = 0;
  return () => {
    const body = bodies[number % bodies.length].replace("@", `${prefix}${number}`);
    number++;
    return `${head}${body.length}\r\n\r\n${body}`;
  };
}

async function openConnections({ port, connections }: LoadTask): Promise<readonly Connection[]> {
  const all = Array.from({ length: connections }, () => new Connection(port));
  await Promise.all(all.map(({ socket }) => new Promise((resolve) => socket.once("connect", resolve))));
  return all;
}

/** So many requests that are not counted: the server's code becomes warm, and its caches. */
function warm(
  all: readonly Connection[],
  { next, count }: { readonly next: () => string; readonly count: number },
): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const more = (connection: Connection): void => {
      if (left-- > 0) connection.send(next(), performance.now());
      else if (all.every(({ waiting }) => waiting === 0)) resolve();
    };
    for (const connection of all) connection.onAnswer = () => more(connection);
    for (const connection of all) more(connection);
  });
}

/** What came back, and how long it took. */
class Tally {
  private readonly latencies = new Float64Array(KEPT_MAX);
  private readonly statuses: Record<string, number> = {};
  private kept = 0;
  private answered = 0;

  add(status: number, ms: number): void {
    this.answered++;
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (this.kept < KEPT_MAX) this.latencies[this.kept++] = ms;
  }

  result(seconds: number): Omit<LoadResult, "loadCpu"> {
    const { answered, statuses } = this;
    const sorted = this.latencies.subarray(0, this.kept).sort();
    const at = (share: number): number => (sorted.length === 0 ? Number.NaN : quantileOf(sorted, share));
    return {
      perSecond: answered / seconds,
      answered,
      statuses,
      p50Ms: at(0.5),
      p90Ms: at(0.9),
      p99Ms: at(0.99),
      p999Ms: at(0.999),
      p9999Ms: at(0.9999),
      maxMs: at(1),
    };
  }
}

/** The connection with the fewest requests under way. */
function pick(all: readonly Connection[]): Connection {
  let best = all[0];
  for (const connection of all) if (connection.waiting < best.waiting) best = connection;
  return best;
}

/** Sends at the moments of the schedule; what a late timer missed is sent at once, with the moment it was due. */
function schedule(plan: {
  readonly rate: number;
  readonly seconds: number;
  readonly begun: number;
  readonly send: (at: number) => void;
}): Promise<void> {
  const { rate, seconds, begun, send } = plan;
  const total = Math.floor(rate * seconds);
  let sent = 0;
  return new Promise((resolve) => {
    const step = (): void => {
      const due = Math.min(total, Math.floor(((performance.now() - begun) / 1000) * rate));
      while (sent < due) send(begun + (sent++ / rate) * 1000);
      if (sent >= total) resolve();
      else setTimeout(step, 0);
    };
    step();
  });
}

/** Everything is answered, or five seconds have passed. */
async function settled(all: readonly Connection[]): Promise<void> {
  for (let tries = 0; tries < 500 && all.some(({ waiting }) => waiting > 0); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

// Last, because classes are not there before their own lines.
const task = JSON.parse(process.argv[2]) as LoadTask;
console.log(JSON.stringify(await run(task)));
process.exit(0);
