// `sentinel forget`: a person leaves every store of the workspace, under a receipt; --verify searches again. Exit 1 where something is left.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { schemaIfThere } from "../lifecycle/data/schema-file.ts";
import {
  type ForgetPipeline,
  type ForgetPlaces,
  forget,
  type Receipt,
  readReceipt,
  verifyForgotten,
} from "../lifecycle/forget.ts";
import { hiddenSpellings } from "../online/redact.ts";
import { everyName, loadPipeline } from "../pipeline/pipeline.ts";
import { forgetKey, openEverywhere } from "../wiring.ts";
import { textOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

export const verb: Verb = {
  options: [
    ["--column <name>", "the column that says who somebody is, such as customer_id"],
    ["--value <text>", "the person's value in that column; @FILE reads it from a file, so that no shell keeps it"],
    ["--card <text>", "the same for the pipeline's card column"],
    ["--data", "erase tables under data/ too, which are only named otherwise"],
    ["--verify <receipt>", "search again for what a receipt says is gone; with --value also byte by byte"],
  ],
  async run(context, { options }) {
    const named = textOption(options, "verify");
    const asked = named === undefined ? askedOf(options) : null;
    const { config, output } = context;
    const names = everyName(config.workspace);
    // Where there is none, this says so.
    if (names.length === 0) context.pipeline();
    const opened = await openEverywhere(config, {
      report: output,
      pipelines: names.map((name) => loadPipeline(config.workspace, name)),
    });
    try {
      const pipelines: ForgetPipeline[] = opened.pipelines.map(({ pipeline, ports }) => ({
        pipeline,
        ports,
        schema: schemaIfThere(pipeline),
      }));
      const { workspace, stateDir } = config;
      const { stores, neighbours, writeFile, topics } = opened;
      const places: ForgetPlaces = { workspace, stateDir, pipelines, stores, neighbours, writeFile, topics };
      const key = await forgetKey(config);
      if (named !== undefined) return await verify(context, { places, key, named, options });
      const { receipt, file } = await forget({
        ...places,
        column: asked!.column,
        value: asked!.value,
        hidden: config.redactKey === null ? [] : hiddenSpellings(asked!.value, config.redactKey),
        actor: config.actor,
        key,
        data: options.data === true,
        at: opened.clock.now(),
      });
      show(context, receipt, file);
      return {
        yes: receipt.left.every(({ where, elsewhere }) => elsewhere === true || !isInside(workspace, where)),
        json: { ...receipt, file },
      };
    } finally {
      await opened.close();
    }
  },
};

/** Of topics and servers nothing can be erased here; that alone is no "no". */
function isInside(workspace: string, where: string): boolean {
  return existsSync(path.join(workspace, where));
}

function askedOf(options: VerbOptions): { readonly column: string | null; readonly value: string } {
  const [column, value, card] = ["column", "value", "card"].map((name) => textOption(options, name));
  if (card !== undefined && column === undefined && value === undefined) return { column: null, value: read(card) };
  if (column !== undefined && value !== undefined && card === undefined) return { column, value: read(value) };
  throw new SentinelError("cli.usage", "forget needs a column and a value, or a card", {
    hint: "sentinel forget --column customer_id --value X, or sentinel forget --card X; @FILE in place of X reads it from a file",
  });
}

function read(given: string): string {
  if (!given.startsWith("@")) return given;
  try {
    return readFileSync(given.slice(1), "utf8").replace(/\r?\n$/, "");
  } catch (cause) {
    throw new SentinelError("cli.usage", `${given.slice(1)} cannot be read`, {
      hint: "put the value alone into a file, and name it behind @",
      cause,
    });
  }
}

async function verify(
  { config, output }: VerbContext,
  of: {
    readonly places: ForgetPlaces;
    readonly key: string;
    readonly named: string;
    readonly options: VerbOptions;
  },
): Promise<VerbResult> {
  const receipt = readReceipt(config.stateDir, of.named);
  const value = textOption(of.options, "value") ?? textOption(of.options, "card");
  const check = await verifyForgotten(of.places, {
    receipt,
    key: of.key,
    value: value === undefined ? null : read(value),
  });
  for (const { where, what, found } of check.places) output.warn(`${where}: ${found} ${what}`);
  for (const file of check.files ?? []) output.warn(`${file}: the bytes of the value`);
  output.line(
    check.found === 0
      ? `${receipt.id}: nothing of it is found${check.files === null ? " in what is kept in rows (with --value also byte by byte)" : ", in rows or as bytes"}`
      : `${receipt.id}: found again in ${check.found} places`,
  );
  return { yes: check.found === 0, json: check };
}

function show({ output }: VerbContext, receipt: Receipt, file: string): void {
  const found = receipt.places.filter((place) => place.found > 0);
  if (found.length === 0) output.line("nothing of the person is kept here");
  else
    output.table([
      ["where", "what", "erased"],
      ...found.map(({ where, what, found: count }) => [where, what, count.toLocaleString("en")]),
    ]);
  for (const { file: table, rows, erased } of receipt.data) {
    if (!erased) output.warn(`${table} names the person in ${rows} rows: it was not touched (--data erases it)`);
  }
  for (const { where, why, todo } of receipt.left) output.warn(`${where}: ${why}; ${todo}`);
  output.line(`receipt ${receipt.id} → ${file}`);
}
