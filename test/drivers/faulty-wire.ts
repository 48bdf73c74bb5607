// A wire to Redis that breaks on demand: between a client and a real server, it cuts, tears, holds back, delays and refuses.
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What happens to what is sent from now on; TCP keeps bytes in order and loses none from the middle, so no fault here does. */
export type WireFault =
  /** Nothing. */
  | "pass"
  /** The connection is gone before a command leaves. */
  | "cut"
  /** Half of the bytes of the commands arrive, then the connection is gone. */
  | "torn-command"
  /** Commands are carried out; the connection is gone before the answer. */
  | "lost-answer"
  /** Commands are carried out; half of the answer's bytes arrive, then the connection is gone. */
  | "torn-answer"
  /** Commands are carried out; the other side says that it will send no more, and goes on listening. */
  | "half-closed"
  /** Commands wait until the fault is over, and are carried out then. */
  | "stuck"
  /** Commands are carried out; their answers wait until the fault is over. */
  | "mute"
  /** Each piece waits, and then comes in crumbs. */
  | "slow"
  /** The connection is gone, and new ones are closed as soon as they are made. */
  | "refused"
  /** Every command gets this error, and none is carried out. */
  | { readonly error: string };

export interface FaultyWire {
  readonly port: number;
  /** Connections made so far. */
  readonly made: number;
  fault: WireFault;
  close(): Promise<void>;
}

const SLOW_MS = 60;
/** Bytes that a slow wire still carries together. */
const SLOW_BYTES = 64;

/** In front of the Redis that listens on a port of this machine. */
export async function startFaultyWire(target: number): Promise<FaultyWire> {
  const ways = new Set<Way>();
  let fault: WireFault = "pass";
  let made = 0;
  const server = createServer((near) => {
    made++;
    if (fault === "refused") {
      near.on("error", () => {}).destroy();
      return;
    }
    const far = connect(target, "127.0.0.1");
    const [there, back] = [wayTo(far), wayTo(near)];
    const end = (): void => {
      near.destroy();
      far.destroy();
      ways.delete(there);
      ways.delete(back);
    };
    ways.add(there).add(back);
    for (const socket of [near, far]) socket.setNoDelay(true).on("error", end).on("close", end);
    let rest: Buffer = Buffer.alloc(0);
    near.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      const { commands, bytes } = wholeCommands(rest);
      if (commands === 0) return;
      const part = rest.subarray(0, bytes);
      rest = rest.subarray(bytes);
      if (typeof fault === "object") back.send(Buffer.from(`-${fault.error}\r\n`.repeat(commands)));
      else if (fault === "cut" || fault === "refused") end();
      else if (fault === "torn-command") far.write(part.subarray(0, part.length >> 1), end);
      else if (fault === "stuck") there.hold(part);
      else there.send(part, fault === "slow");
    });
    far.on("data", (chunk: Buffer) => {
      if (fault === "lost-answer" || fault === "refused") end();
      else if (fault === "torn-answer") near.write(chunk.subarray(0, chunk.length >> 1), end);
      else if (fault === "half-closed") near.end();
      else if (fault === "mute") back.hold(chunk);
      else back.send(chunk, fault === "slow");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    get made() {
      return made;
    },
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
      for (const way of ways) way.release();
    },
    async close() {
      for (const way of ways) way.to.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One direction of a connection. */
interface Way {
  readonly to: Socket;
  send(bytes: Buffer, slowly?: boolean): void;
  hold(bytes: Buffer): void;
  /** What was held goes now. */
  release(): void;
}

function wayTo(to: Socket): Way {
  let last = Promise.resolve();
  let held: Buffer[] = [];
  const way: Way = {
    to,
    // Behind what is still under way: bytes keep their order, whatever happens to them.
    send(bytes, slowly = false) {
      last = last.then(async () => {
        if (slowly) await sleep(SLOW_MS);
        const step = slowly ? SLOW_BYTES : bytes.length;
        for (let at = 0; at < bytes.length && to.writable; at += step) to.write(bytes.subarray(at, at + step));
      });
    },
    hold: (bytes) => void held.push(bytes),
    release() {
      const late = held;
      held = [];
      for (const bytes of late) way.send(bytes);
    },
  };
  return way;
}

/** How many commands of the Redis protocol are there as a whole, and how many bytes they take. */
function wholeCommands(buffer: Buffer): { readonly commands: number; readonly bytes: number } {
  let [commands, bytes] = [0, 0];
  for (;;) {
    const next = endOfCommand(buffer, bytes);
    if (next === null) return { commands, bytes };
    commands++;
    bytes = next;
  }
}

/** "*2\r\n$4\r\nINCR\r\n$1\r\na\r\n": where the command that begins at a place ends; null while it is not all there. */
function endOfCommand(buffer: Buffer, from: number): number | null {
  const line = (at: number): { readonly size: number; readonly next: number } | null => {
    const end = buffer.indexOf("\r\n", at);
    return end < 0 ? null : { size: Number(buffer.toString("latin1", at + 1, end)), next: end + 2 };
  };
  const head = line(from);
  if (head === null) return null;
  let at = head.next;
  for (let i = 0; i < head.size; i++) {
    const argument = line(at);
    if (argument === null) return null;
    at = argument.next + argument.size + 2;
    if (at > buffer.length) return null;
  }
  return at;
}
