// A load of requests from a process of its own: raw sockets, kept alive, closed loop or open loop; prints rates and latencies.
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { Latencies, type Percentiles } from "./latencies.ts";

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
  /** Of those who send, in turn; absent: nobody shows a key. */
  readonly keys?: readonly string[];
  /** Names the ids of this load, so that none was sent before. */
  readonly prefix: string;
  /** Requests that are sent before anything is counted. */
  readonly warmUp: number;
  /** Figures of each stretch of so many seconds too. */
  readonly windowSeconds?: number;
  /** A connection has one request under way at most, as clients have it; where none is free, a request is given up. */
  readonly single?: boolean;
}

/** What one stretch of the load saw; a request belongs to the stretch in which it was answered. */
export interface LoadWindow {
  readonly accepted: Percentiles;
  readonly refused: number;
}

/** The percentiles are of answers that are no refusal: from the moment the schedule named (open loop), or from sending (closed loop). */
export interface LoadResult extends Percentiles {
  readonly perSecond: number;
  readonly answered: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Answers with 503, and how many of them did not say when to come again. */
  readonly refused: Percentiles;
  readonly refusedWithoutRetryAfter: number;
  /** Requests without an answer, five seconds after the last was sent; requests that no connection was free for. */
  readonly unanswered: number;
  readonly unsent: number;
  /** Requests under way on connections that the server ended. */
  readonly cut: number;
  readonly windows: readonly LoadWindow[];
  /** Time of this process's own processor per second; near 1 the load itself is the limit. */
  readonly loadCpu: number;
}

const REFUSED = 503;
const HEAD_END = Buffer.from("\r\n\r\n");

class Connection {
  socket: Socket;
  onAnswer: (status: number, sentAt: number, head: string) => void = () => {};
  /** The connection was cut, with so many requests under way, and is made anew. */
  onCut: (requests: number) => void = () => {};
  private readonly port: number;
  private sent: number[] = [];
  private rest: Buffer = Buffer.alloc(0);
  private ended = false;

  constructor(port: number) {
    this.port = port;
    this.socket = this.open();
  }

  end(): void {
    this.ended = true;
    this.socket.destroy();
  }

  private open(): Socket {
    const socket = connect({ port: this.port, host: "127.0.0.1", noDelay: true });
    socket.on("data", (chunk: Buffer) => this.take(chunk));
    // What becomes of it is told by its close.
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.ended) return;
      const requests = this.sent.length;
      this.sent = [];
      this.rest = Buffer.alloc(0);
      this.socket = this.open();
      this.onCut(requests);
    });
    return socket;
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
      this.onAnswer(Number(head.slice(9, 12)), this.sent.shift() ?? 0, head);
    }
    this.rest = data;
  }
}

async function run(task: LoadTask): Promise<LoadResult> {
  const { rate, seconds } = task;
  const next = requests(task, JSON.parse(readFileSync(task.bodiesFile, "utf8")) as readonly string[]);
  const all = await openConnections(task);
  await warm(all, { next, count: task.warmUp });
  const tally = new Tally(task.windowSeconds ?? Number.POSITIVE_INFINITY);
  const cpu = process.cpuUsage();
  const begun = performance.now();
  let unsent = 0;
  if (rate === undefined) {
    const more = (connection: Connection): void => connection.send(next(), performance.now());
    listen(all, tally, more);
    for (const connection of all) more(connection);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  } else {
    const spread = task.single === true ? oneEach(all) : shared(all);
    listen(all, tally, spread.free);
    await schedule({ rate, seconds, begun, send: (at) => spread.send(next, at) });
    await settled(all);
    unsent = spread.unsent();
  }
  const elapsed = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const unanswered = rate === undefined ? 0 : all.reduce((sum, { waiting }) => sum + waiting, 0);
  for (const connection of all) connection.end();
  return { ...tally.result(elapsed), unanswered, unsent, loadCpu: (user + system) / 1e6 / elapsed };
}

function listen(all: readonly Connection[], tally: Tally, after: (connection: Connection) => void): void {
  for (const connection of all) {
    connection.onAnswer = (status, sentAt, head) => {
      tally.add(status, { ms: performance.now() - sentAt, head });
      after(connection);
    };
    connection.onCut = (requests) => {
      tally.cut += requests;
      if (requests > 0) after(connection);
    };
  }
}

/** How an open loop uses its connections. */
interface Spread {
  send(next: () => string, at: number): void;
  /** A connection has its answer. */
  free(connection: Connection): void;
  /** Requests for which no connection was free. */
  unsent(): number;
}

/** Every request at once, on the connection with the fewest under way. */
function shared(all: readonly Connection[]): Spread {
  return { send: (next, at) => pick(all).send(next(), at), free: () => {}, unsent: () => 0 };
}

/** One request under way per connection, each connection in its turn. */
function oneEach(all: readonly Connection[]): Spread {
  let idle = [...all];
  let freed: Connection[] = [];
  let unsent = 0;
  return {
    send(next, at) {
      if (idle.length === 0) [idle, freed] = [freed.reverse(), idle];
      const connection = idle.pop();
      if (connection === undefined) unsent++;
      else connection.send(next(), at);
    },
    free: (connection) => void freed.push(connection),
    unsent: () => unsent,
  };
}

/** The next request's text at each call. */
function requests({ port, path, prefix, keys }: LoadTask, bodies: readonly string[]): () => string {
  const headOf = (key: string): string =>
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${key}content-type: application/json\r\ncontent-length: `;
  const heads = keys === undefined ? [headOf("")] : keys.map((key) => headOf(`x-api-key: ${key}\r\n`));
  let number = 0;
  return () => {
    const body = bodies[number % bodies.length].replace("@", `${prefix}${number}`);
    const head = heads[number % heads.length];
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
  private readonly windowMs: number;
  private readonly begun = performance.now();
  private readonly statuses: Record<string, number> = {};
  private readonly accepted = new Latencies();
  private readonly refused = new Latencies();
  private readonly windows: { readonly accepted: Latencies; refused: number }[] = [];
  cut = 0;
  private withoutRetryAfter = 0;
  private answered = 0;

  constructor(windowSeconds: number) {
    this.windowMs = windowSeconds * 1000;
  }

  add(status: number, { ms, head }: { readonly ms: number; readonly head: string }): void {
    this.answered++;
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    const window = this.window();
    if (status === REFUSED) {
      this.refused.add(ms);
      window.refused++;
      if (!/^retry-after: *\d/im.test(head)) this.withoutRetryAfter++;
    } else {
      this.accepted.add(ms);
      if (this.windowMs < Number.POSITIVE_INFINITY) window.accepted.add(ms);
    }
  }

  result(seconds: number): Omit<LoadResult, "loadCpu" | "unanswered" | "unsent"> {
    const { answered, statuses, refused } = this;
    return {
      perSecond: answered / seconds,
      answered,
      statuses,
      ...this.accepted.percentiles(),
      refused: refused.percentiles(),
      refusedWithoutRetryAfter: this.withoutRetryAfter,
      cut: this.cut,
      windows: this.windows.map((one) => ({ accepted: one.accepted.percentiles(), refused: one.refused })),
    };
  }

  private window(): { readonly accepted: Latencies; refused: number } {
    const index = Math.floor((performance.now() - this.begun) / this.windowMs);
    while (this.windows.length <= index) this.windows.push({ accepted: new Latencies(), refused: 0 });
    return this.windows[index];
  }
}

/** The connection with the fewest requests under way. */
function pick(all: readonly Connection[]): Connection {
  let best = all[0];
  for (const connection of all) if (connection.waiting < best.waiting) best = connection;
  return best;
}

/** Between two looks at the schedule: a timer of Node would send in bursts of a millisecond and more, which no client does. */
const LOOK_MS = 0.1;
const SLEEP = new Int32Array(new SharedArrayBuffer(4));

/** Sends at the moments of the schedule, give or take a look; what was missed is sent at once, with the moment it was due. */
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
      if (due === sent) Atomics.wait(SLEEP, 0, 0, LOOK_MS);
      while (sent < due) send(begun + (sent++ / rate) * 1000);
      if (sent >= total) resolve();
      else setImmediate(step);
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
