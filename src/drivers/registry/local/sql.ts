// What the parts of the embedded registry may ask of its database.

/** libsql aborts the process on other types (booleans). */
export type Cell = string | number | null;
export type Row = Readonly<Record<string, Cell>>;

/** What statements may do inside a read or a write. Statement texts are constants: they are prepared once and kept. */
export interface Sql {
  all(text: string, ...values: Cell[]): Row[];
  /** Rows changed. */
  run(text: string, ...values: Cell[]): number;
  script(text: string): void;
  /** Whether there is such a table, and, where one is named, such a column in it. */
  has(table: string, column?: string): boolean;
  /** The condition that keeps to MLflow's default workspace, in files that have workspaces; "1" in others. */
  scope(table: string): string;
}
