// Tasks of the routes below /api: one at a time, a few that wait, and nobody waits for ever.
import { SentinelError } from "../../core/errors.ts";
import { backtestOne, type Task, type TaskAnswers } from "../../lifecycle/platform.ts";
import type { Server, ServerParts } from "../parts.ts";
import { platformOf } from "./exchange.ts";

/** Tasks that wait while one is done. */
const WAITING_MAX = 4;
/** Who asks waits no longer. */
const WAIT_MS_MAX = 60_000;

const INSTEAD: Readonly<Record<Task["kind"], string>> = {
  backtest: "name a shorter time with from and to, or run `sentinel rules backtest`",
  conflicts: "run `sentinel rules conflicts`",
  suggest: "run `sentinel rules suggest`",
  drift: "run `sentinel monitor`",
  gate: "run `sentinel promote --dry-run`",
  promote: "it goes on: look at the journal before you ask again",
  rollback: "it goes on: look at the journal before you ask again",
};

/** Does a task of a pipeline beside the traffic. Errors: those of the task; server.overloaded, server.too-slow. */
export async function doAside<K extends Task["kind"]>(
  server: Server,
  parts: ServerParts,
  task: Extract<Task, { readonly kind: K }>,
): Promise<TaskAnswers[K]> {
  const { tasks } = platformOf(server);
  const own: Task = task;
  await parts.log.flush();
  return queueOf(server).run(task.kind, () => {
    if (tasks !== null) return tasks<K>(parts.pipeline.name, task);
    if (own.kind === "backtest")
      return backtestOne(parts.ports, parts.pipeline, own.request) as Promise<TaskAnswers[K]>;
    throw new SentinelError("server.too-slow", `this server does no ${task.kind}: nothing was given to it that could`, {
      hint: "start it with `sentinel serve`",
    });
  });
}

/** One after the other. */
class Queue {
  private turn: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  run<T>(kind: Task["kind"], work: () => Promise<T>): Promise<T> {
    if (this.waiting > WAITING_MAX) {
      throw new SentinelError("server.overloaded", `${WAITING_MAX} tasks wait already`, {
        hint: `ask again in a minute, or ${INSTEAD[kind]}`,
      });
    }
    this.waiting++;
    const next = this.turn.then(work);
    this.turn = next.catch(() => {}).finally(() => void this.waiting--);
    return inTime(kind, next);
  }
}

const queues = new WeakMap<Server["pipelines"], Queue>();

function queueOf({ pipelines }: Server): Queue {
  const known = queues.get(pipelines) ?? new Queue();
  queues.set(pipelines, known);
  return known;
}

async function inTime<T>(kind: Task["kind"], work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new SentinelError("server.too-slow", `the ${kind} is not there after ${WAIT_MS_MAX / 1000} s`, {
            hint: INSTEAD[kind],
          }),
        ),
      WAIT_MS_MAX,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
