// `sentinel replay --topic`: a recorded stream by another bundle or rule set, with a workspace's state left as it is.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { SentinelError } from "../core/errors.ts";
import { loadSchema } from "../lifecycle/data/schema-file.ts";
import { applyRules, rulesNow } from "../lifecycle/rules.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { streamSettings } from "../pipeline/stream.ts";
import type { Ports } from "../ports/ports.ts";
import { type Offsets, replayTopic, type TopicReplay } from "../stream/replay.ts";
import { openPorts, openSchemas, openStreams } from "../wiring.ts";
import { textOption } from "./options.ts";
import type { VerbContext, VerbOptions, VerbResult } from "./verb.ts";

export async function replayRecorded(context: VerbContext, options: VerbOptions): Promise<VerbResult> {
  const own = context.pipeline();
  const topic = typeof options.topic === "string" ? options.topic : undefined;
  const pipeline: Pipeline = {
    ...own,
    archive: { ...own.archive, to: undefined },
    stream: { ...own.stream, consumers: "one", ...(topic === undefined ? {} : { topic }) },
  };
  const scratch = await mkdtemp(path.join(tmpdir(), "sentinel-replay-"));
  const config = {
    ...context.config,
    stateDir: path.join(scratch, "state"),
    redis: null,
    archiveUrl: null,
    database: null,
  };
  const { ports, close } = openPorts(config, {
    report: { line: () => {}, progress: () => {} },
    pipeline: own.name,
    settings: () => pipeline,
  });
  try {
    const real = context.ports();
    const beside = await besidePorts(ports, { real, pipeline, version: textOption(options, "bundle") ?? null });
    await takeRules(beside, { real, pipeline, actor: config.actor, file: textOption(options, "rules") });
    const streams = await streamsOf(context, { options, pipeline, scratch });
    try {
      const found = await replayTopic({
        pipeline: { ports: beside, pipeline, schema: loadSchema(pipeline) },
        ...streams,
        schemas: await openSchemas(context.config),
        from: offsetsOption(options, "fromOffsets"),
        until: offsetsOption(options, "untilOffsets"),
        options: { redactKey: context.config.redactKey },
      });
      show(context, found);
      return { yes: true, json: found };
    } finally {
      await streams.input.close();
      await streams.recorded.close();
    }
  } finally {
    await close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The workspace's models, with another champion where one is named, and what training left; everything else is the replay's own. */
async function besidePorts(
  ports: Ports,
  of: { readonly real: Ports; readonly pipeline: Pipeline; readonly version: string | null },
): Promise<Ports> {
  const { real, pipeline, version } = of;
  const registry = await real.registry();
  if (version !== null) {
    const { model } = pipeline;
    const named = (await registry.aliases(model))[version] ?? version;
    // Says that there is none before anything is read.
    await registry.load(model, named);
    ports = {
      ...ports,
      registry: async () =>
        new Proxy(registry, {
          get: (target, key) => {
            if (key === "aliases") return async () => ({ champion: named });
            const value: unknown = Reflect.get(target, key);
            return typeof value === "function" ? value.bind(target) : value;
          },
        }),
    };
  }
  const [own, theirs] = [await ports.snapshots(), await real.snapshots()];
  return {
    ...ports,
    snapshots: async () => ({
      load: async (name) => (await own.load(name)) ?? (name.includes("state-train") ? theirs.load(name) : null),
      save: (name, bytes) => own.save(name, bytes),
    }),
  };
}

/** The rules of a file, else those that are live. */
async function takeRules(
  ports: Ports,
  of: { readonly real: Ports; readonly pipeline: Pipeline; readonly actor: string; readonly file?: string },
): Promise<void> {
  const { real, pipeline, actor, file } = of;
  if (file !== undefined) {
    await applyRules(ports, { pipeline, actor, file: path.resolve(file), reason: "replay" });
    return;
  }
  const { store, head, live, counts } = await rulesNow(real, pipeline);
  if (head.live === null) return;
  const lists = Object.fromEntries(
    await Promise.all(Object.keys(counts).map(async (name) => [name, await store.list(name)] as const)),
  );
  const beside = await ports.rules!();
  const entry = {
    at: ports.clock.now(),
    actor,
    verb: "apply",
    reason: "replay",
    verdict: "",
    evidence: "",
    changes: [],
  };
  const { revision } = await beside.head();
  await beside.commit({ expected: revision, sets: [live], live: head.live, candidate: null, lists, entry });
}

/** Kafka as it is, or the files of the workspace, whose positions are kept in the scratch folder. */
async function streamsOf(
  context: VerbContext,
  on: { readonly options: VerbOptions; readonly pipeline: Pipeline; readonly scratch: string },
) {
  const { options, pipeline, scratch } = on;
  const { topic, decisions } = streamSettings(pipeline);
  const { config } = context;
  const folder = path.resolve(textOption(options, "out") ?? path.join(config.workspace, "data", "stream"));
  const file = textOption(options, "in");
  const isKafka = config.kafka !== null && file === undefined;
  const open = (of: { readonly kafka: boolean; readonly input: string }) =>
    openStreams(config, { folder: scratch, onLine: () => {}, ...(of.kafka ? {} : { input: of.input }) });
  return {
    input: await open({
      kafka: isKafka,
      input: file === undefined ? path.join(folder, `${topic}.ndjson`) : path.resolve(file),
    }),
    // A recorded file may be of a topic whose decisions are in Kafka.
    recorded: await open({ kafka: config.kafka !== null, input: path.join(folder, `${decisions}.ndjson`) }),
  };
}

/** `120` for every partition, or `0:120,1:80`. */
function offsetsOption(options: VerbOptions, name: "fromOffsets" | "untilOffsets"): Offsets | undefined {
  const text = textOption(options, name);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const pairs = text.split(",").map((pair) => /^(\d{1,9}):(\d{1,15})$/.exec(pair));
  if (pairs.every((pair) => pair !== null)) return new Map(pairs.map((pair) => [Number(pair![1]), Number(pair![2])]));
  const flag = name === "fromOffsets" ? "--from-offsets" : "--until-offsets";
  throw new SentinelError("cli.usage", `${flag} ${text} names no offsets`, {
    hint: `${flag} 1200 for every partition, or ${flag} 0:1200,1:900`,
  });
}

function show({ output }: VerbContext, found: TopicReplay): void {
  const whole = (count: number): string => count.toLocaleString("en");
  output.line(
    `${whole(found.decided)} transactions of ${found.topic} judged again, ${whole(found.compared)} compared with what was decided`,
  );
  for (const [what, count] of Object.entries(found.changes)) output.line(`  ${what}: ${whole(count)}`);
  if (found.rescored > 0) output.line(`  same decision, another score: ${whole(found.rescored)}`);
  if (found.deadLetters > 0) output.line(`  cannot be judged: ${whole(found.deadLetters)}`);
  if (found.changed === 0) output.line("  no decision would have been another one");
  if (found.examples.length === 0) return;
  output.table([
    ["transaction", "then", "score", "by", "now", "score", "by"],
    ...found.examples.map(({ transactionId, before, after }) => [
      transactionId,
      before.decision,
      String(before.score),
      before.by,
      after.decision,
      String(after.score),
      after.by,
    ]),
  ]);
}
