// Every store that a server may run on, for tests that shall hold on all of them: the environment that leads to it, and its end.
import { postgresTables } from "../../../src/drivers/store/postgres/driver.ts";
import { borrowPostgres, postgresPrograms } from "../postgres-server.ts";

/** Where a store was opened. */
export interface OpenStore {
  readonly variables: Readonly<Record<string, string>>;
  /** What a server of its own may do; absent for a file. */
  readonly outage?: { begin(): Promise<void>; end(): Promise<void> };
  dispose(): Promise<void>;
}

export interface StoreHere {
  readonly name: string;
  /** False where its programs are not installed. */
  readonly here: boolean;
  /** Whether it is a server that several machines share. */
  readonly isServer: boolean;
  /** A store that nobody else has. */
  open(): Promise<OpenStore>;
}

export const STORES: readonly StoreHere[] = [
  { name: "libsql", here: true, isServer: false, open: async () => ({ variables: {}, dispose: async () => {} }) },
  {
    name: "PostgreSQL",
    here: postgresPrograms !== null,
    isServer: true,
    async open() {
      const server = await borrowPostgres();
      const address = server.address();
      await postgresTables(address).migrate();
      return {
        variables: { SENTINEL_DATABASE_URL: server.url(address) },
        outage: { begin: () => server.kill(), end: () => server.restart() },
        dispose: () => server.dispose(),
      };
    },
  },
];
