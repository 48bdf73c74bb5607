// A thread of a training team: runs the rounds on its share of rows and columns; the first one reports.
import { parentPort } from "node:worker_threads";
import { SentinelError } from "../../../core/errors.ts";
import type { WorkerMessage, WorkerStart } from "./messages.ts";
import { runRounds } from "./rounds.ts";
import { joinTeam, TEAM_SLOTS } from "./team.ts";
import { openWorkspace } from "./workspace.ts";

const say = (message: WorkerMessage): void => parentPort!.postMessage(message);

parentPort!.once("message", ({ index, count, memory, arena, task }: WorkerStart) => {
  try {
    const team = joinTeam(new Int32Array(memory.buffer, arena.team, TEAM_SLOTS), { index, count });
    const space = openWorkspace(memory, { arena, team, columns: task.x.names.length });
    const onRound = (round: number, trainLoss: number, validationLoss: number): void =>
      say({ kind: "round", round, trainLoss, validationLoss });
    const result = runRounds(space, index === 0 ? { ...task, onRound } : task);
    if (index === 0) say({ kind: "result", result });
  } catch (error) {
    if (!(error instanceof SentinelError)) throw error;
    say({ kind: "fault", code: error.code, message: error.message, hint: error.hint });
  }
});
