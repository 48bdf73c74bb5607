// Every store that a server may run on, for tests that shall hold on all of them: the environment that leads to it, and its end.
import { postgresTables } from "../../../src/drivers/store/postgres/driver.ts";
import { postgresPrograms, startPostgres } from "../postgres-server.ts";

export interface StoreHere {
  readonly name: string;
  /** False where its programs are not installed. */
  readonly here: boolean;
  /** Variables of a workspace of its own. */
  open(): Promise<{ readonly variables: Readonly<Record<string, string>>; dispose(): Promise<void> }>;
}

export const STORES: readonly StoreHere[] = [
  { name: "libsql", here: true, open: async () => ({ variables: {}, dispose: async () => {} }) },
  {
    name: "PostgreSQL",
    here: postgresPrograms !== null,
    async open() {
      const server = await startPostgres();
      const address = server.address();
      await postgresTables(address).migrate();
      return { variables: { SENTINEL_DATABASE_URL: server.url(address) }, dispose: () => server.dispose() };
    },
  },
];
