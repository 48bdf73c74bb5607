// `sentinel archive write | list | compact | verify | expire`: every decided transaction as Parquet by day; exit 1 when verify finds a fault.
import { SentinelError } from "../core/errors.ts";
import { compactArchive, expireArchive } from "../lifecycle/archive/maintain.ts";
import { type ArchiveVerdict, listArchive, verifyArchive } from "../lifecycle/archive/verify.ts";
import { type ArchiveInput, archiveLock, archiveNow } from "../lifecycle/archive/write.ts";
import { schemaIfThere } from "../lifecycle/data/schema-file.ts";
import { integerOption } from "./options.ts";
import type { Verb, VerbContext, VerbOptions, VerbResult } from "./verb.ts";

const ACTIONS: Readonly<
  Record<string, (context: VerbContext, input: ArchiveInput, options: VerbOptions) => Promise<VerbResult>>
> = { write, list, compact, verify, expire };
const DAYS_MAX = 36_500;

export const verb: Verb = {
  args: "<what>",
  options: [["--days <n>", "expire: remove days whose transactions happened longer ago than this"]],
  async run(context, { args, options }) {
    const [what] = args;
    if (!Object.hasOwn(ACTIONS, what)) {
      throw new SentinelError("cli.usage", `archive knows no ${JSON.stringify(what)}`, {
        hint: "use `archive write`, `archive list`, `archive compact`, `archive verify` or `archive expire --days N`",
      });
    }
    const pipeline = context.pipeline();
    return await ACTIONS[what](context, { pipeline, schema: schemaIfThere(pipeline) }, options);
  },
};

async function write(context: VerbContext, input: ArchiveInput): Promise<VerbResult> {
  const ports = context.ports();
  const lock = await (await ports.lock()).acquire(archiveLock("write", input.pipeline), { everywhere: true });
  try {
    const run = await archiveNow(ports, input);
    context.output.line(
      run.files === 0
        ? `everything up to position ${run.position} is archived already`
        : `${count(run.rows)} transactions and ${count(run.labels)} labels → ${count(run.files)} files; archived up to position ${run.position}`,
    );
    if (run.missed > 0)
      context.output.warn(`the log had forgotten ${count(run.missed)} entries before they were archived`);
    return { yes: true, json: run };
  } finally {
    await lock.release();
  }
}

async function list(context: VerbContext, input: ArchiveInput): Promise<VerbResult> {
  const verdict = await listArchive(context.ports(), input);
  show(context, verdict, ({ marked }) => count(marked));
  return { yes: true, json: verdict };
}

async function verify(context: VerbContext, input: ArchiveInput): Promise<VerbResult> {
  const verdict = await verifyArchive(context.ports(), input);
  show(context, verdict, ({ rows }) => count(rows ?? 0));
  for (const { day, fault } of verdict.days) if (fault !== null) context.output.warn(`${day}: ${fault}`);
  context.output.line(
    verdict.faults === 0 ? "the archive is what was written" : `${verdict.faults} days are not what was written`,
  );
  return { yes: verdict.faults === 0, json: verdict };
}

function show(
  { output }: VerbContext,
  verdict: ArchiveVerdict,
  rowsOf: (day: ArchiveVerdict["days"][number]) => string,
): void {
  const { where, days, position, last, unsettled } = verdict;
  output.line(where);
  output.table([
    ["day", "transactions", "files", "bytes"],
    ...days.map((day) => [day.day, rowsOf(day), count(day.files), count(day.bytes)]),
  ]);
  const behind = Math.max(0, last - position);
  output.line(
    `archived up to position ${position}${behind === 0 ? ", which is all" : `; ${count(behind)} entries of the log are not archived yet`}`,
  );
  if (unsettled > 0)
    output.line(`${count(unsettled)} files wait for the end of a compaction: \`sentinel archive compact\``);
}

async function compact(context: VerbContext, input: ArchiveInput): Promise<VerbResult> {
  const done = await compactArchive(context.ports(), input);
  context.output.line(
    done.days === 0
      ? "every day is one file, with the labels that are known"
      : `${count(done.days)} days: ${count(done.filesBefore)} files became ${count(done.filesAfter)}, ${count(done.rows)} transactions`,
  );
  return { yes: true, json: done };
}

async function expire(context: VerbContext, input: ArchiveInput, options: VerbOptions): Promise<VerbResult> {
  if (options.days === undefined) {
    throw new SentinelError("cli.usage", "archive expire needs --days N", {
      hint: "for example: sentinel archive expire --days 400; what is removed is gone",
    });
  }
  const days = integerOption(options, "days", { low: 1, high: DAYS_MAX, fallback: DAYS_MAX });
  const done = await expireArchive(context.ports(), { ...input, days });
  context.output.line(`${count(done.days)} days before ${done.before} are gone (${count(done.files)} files)`);
  return { yes: true, json: done };
}

function count(value: number): string {
  return value.toLocaleString("en");
}
