// A stable address in front of servers that change: connections that were made stay with whom they reached, as behind a moved name.
import { connect, createServer, type Socket } from "node:net";

export interface Forwarder {
  readonly port: number;
  /** New connections go here; those that are there stay where they are. */
  to(port: number): void;
  /** From now on nothing passes on the connections that are there, and nobody is told: as when a machine is gone. */
  silence(): void;
  /** Connections made so far. */
  readonly made: number;
  close(): Promise<void>;
}

export async function startForwarder(target: number): Promise<Forwarder> {
  let port = target;
  let made = 0;
  const open = new Set<readonly [Socket, Socket]>();
  const server = createServer((near) => {
    made++;
    const far = connect(port, "127.0.0.1");
    const pair = [near, far] as const;
    open.add(pair);
    near.pipe(far);
    far.pipe(near);
    const end = (): void => {
      open.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    to(next) {
      port = next;
    },
    silence() {
      for (const [near, far] of open) {
        near.unpipe(far);
        far.unpipe(near);
        near.resume();
        far.resume();
      }
    },
    get made() {
      return made;
    },
    async close() {
      for (const [near] of open) near.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
