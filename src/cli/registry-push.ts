// `sentinel registry push`: from the embedded registry to an MLflow server, with what was moved and what was there before.

import { mlflowAt, registryName } from "../config.ts";
import { SentinelError } from "../core/errors.ts";
import { visible } from "../core/visible.ts";
import { type Moved, push } from "../lifecycle/push.ts";
import { openPush } from "../wiring.ts";
import { textOption } from "./options.ts";
import type { VerbContext, VerbOptions, VerbResult } from "./verb.ts";

export async function pushRegistry(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  const { config, output } = context;
  const to = textOption(options, "to");
  const server = to === undefined ? config.mlflow : mlflowAt(to);
  if (server === null) {
    throw new SentinelError("cli.usage", "push where to?", {
      hint: "name the MLflow server: `sentinel registry push --to http://…`, or set MLFLOW_TRACKING_URI",
    });
  }
  const { clock, lock, report } = context.ports();
  const pushLock = await (await lock()).acquire("registry-push");
  const { close, ...ends } = await openPush(config, server);
  try {
    const result = await push(
      { ...ends, report },
      {
        model: textOption(options, "model") ?? null,
        actor: config.actor,
        now: clock.now(),
        mapping: `${registryName(server)}.json`,
      },
    );
    output.line(`from ${result.from} to ${result.to}`);
    const row = (what: string, { moved, there }: Moved): string[] => [what, String(moved), String(there)];
    output.table([
      ["", "moved", "there before"],
      row("runs", result.runs),
      row("versions", result.versions),
      row("journal entries", result.entries),
    ]);
    for (const [model, numbers] of Object.entries(result.numbers)) {
      const other = Object.entries(numbers).filter(([here, there]) => here !== there);
      for (const [here, there] of other) output.line(`  ${model} version ${here} is version ${there} there`);
    }
    for (const alias of result.kept) output.line(`  the server's own ${alias} stays where it was; its journal says so`);
    for (const note of result.notes) output.line(`  · ${visible(note)}`);
    return { yes: true, json: result };
  } finally {
    await close();
    await pushLock.release();
  }
}
