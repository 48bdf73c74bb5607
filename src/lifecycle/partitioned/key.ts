// A stage per key: the rows of a partition pass through the state machine, and what it finds travels on with them.
import type { Column, Table } from "../../core/table.ts";
import { keyPasses, PartitionReplay } from "../../features/by-key.ts";
import { carriedColumn, compileSpec } from "../../features/plan.ts";
import { withMissingColumns } from "../data/vectors.ts";
import { writeKeys } from "./state.ts";
import type { KeyTask } from "./task.ts";

/** The rows in their order, with the features that the pass finds. Errors: features.limit. */
export async function* replayKey(task: KeyTask, frames: AsyncIterable<Table>): AsyncGenerator<Table> {
  const plan = compileSpec(task.spec);
  const pass = keyPasses(plan)[task.pass];
  const names = Array.from(pass.finds, (feature) =>
    pass.isLast ? plan.names[feature] : carriedColumn(plan.names[feature]),
  );
  const replay = new PartitionReplay(pass, { stateBytesMax: task.stateBytesMax });
  for await (const frame of frames) {
    const found = names.map(() => new Float64Array(frame.rows));
    replay.next(withMissingColumns(frame, pass.inputs), found);
    const own = new Map<string, Column>(names.map((name, i) => [name, { kind: "number", values: found[i] }]));
    const cells = task.output.map(({ name }) => [name, own.get(name) ?? frame.columns.get(name)!] as const);
    yield { rows: frame.rows, columns: new Map(cells) };
  }
  if (task.stateFolder === undefined || pass.key === null) return;
  replay.end();
  writeKeys(task.stateFolder, replay);
}
