// The engine on Spark: starts the job that the package ships with a Python that has PySpark, and reads what it says.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert, ERROR_KINDS, type ErrorCode, messageOf, SentinelError } from "../../../core/errors.ts";
import { decodeFrame, encodeFrame, type FrameColumn } from "../../../core/frame.ts";
import { PRIVATE_FILE_MODE } from "../../../core/private.ts";
import type { Boosted, Engine, EngineJob, EngineProgress, EngineResult } from "../../../ports/engine.ts";

export interface SparkOptions {
  /** spark://…, yarn, k8s://…, local[2]. */
  readonly master: string;
  /** Settings of Spark's, which come before ours. */
  readonly conf: Readonly<Record<string, string>>;
  /** The Python that has PySpark, here and on the executors. */
  readonly python: string;
  /** The command that an executor runs for each partition. */
  readonly command: readonly string[];
}

const JOB = fileURLToPath(new URL("./job.py", import.meta.url));
/** Of what Spark writes to its log, for the message when it fails. */
const LOG_CHARACTERS = 60_000;
/** How long Spark may take to end before it is ended. */
const CLOSE_MS_MAX = 30_000;
const ERROR_MARK = "sentinel-error:";

/**
 * What must hold for equal bits, whatever a cluster's defaults are: adaptive execution may cut a partition in two, and with it a key. Rows go in
 * batches that fit into a processor's cache.
 */
const FIXED: Readonly<Record<string, string>> = {
  "spark.sql.adaptive.enabled": "false",
  "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
};
const DEFAULTS: Readonly<Record<string, string>> = { "spark.ui.showConsoleProgress": "false" };
/** Where all of Spark is on this machine, nobody else need reach it. */
const LOCAL: Readonly<Record<string, string>> = {
  "spark.driver.host": "127.0.0.1",
  "spark.driver.bindAddress": "127.0.0.1",
  "spark.ui.enabled": "false",
};

export function createSparkEngine(options: SparkOptions): Engine {
  const local = /^local(-cluster)?(\[|$)/.test(options.master) ? LOCAL : {};
  const conf = { ...DEFAULTS, ...local, ...options.conf, ...FIXED };
  let session: Session | null = null;
  /** Hands a job over as a file, and gives what it says and what it leaves in files of its own. */
  async function asked<T>(
    work: (folder: string) => Promise<{ readonly job: object; read(reply: Reply): Promise<T> }>,
    onProgress: (progress: EngineProgress) => void,
  ): Promise<T> {
    const folder = await mkdtemp(path.join(tmpdir(), "sentinel-spark-"));
    try {
      const file = path.join(folder, "job.json");
      if (session === null || session.isOver) session = await Session.begin(options, conf);
      const { job, read } = await work(folder);
      await writeFile(file, JSON.stringify({ ...job, command: options.command }), { mode: PRIVATE_FILE_MODE });
      return await read(await session.run({ job: file, result: resultIn(folder) }, onProgress));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return {
    run: (job, onProgress) =>
      asked(async (folder) => {
        const read = async ({ boosted: _, ...reply }: Reply): Promise<EngineResult> => {
          const isDone = reply.ids === null || reply.ids.twice === null;
          return { ...reply, result: isDone ? await resultOf(job, resultIn(folder)) : null };
        };
        return { job, read };
      }, onProgress),
    boost: (job, onProgress) =>
      asked(async (folder) => {
        const probe = path.join(folder, "probe");
        const columns = job.columns.features.map((name): FrameColumn => ({ name, type: "f32" }));
        await writeFile(probe, encodeFrame(job.probe, columns), { mode: PRIVATE_FILE_MODE });
        const read = async ({ boosted, engine }: Reply): Promise<Boosted> => {
          assert(boosted !== undefined, "a job that boosts says what came of it");
          return { ...boosted, engine, model: new Uint8Array(await readFile(resultIn(folder))) };
        };
        return { job: { boost: { ...job, probe } }, read };
      }, onProgress),
    async close() {
      await session?.close();
    },
  };
}

function resultIn(folder: string): string {
  return path.join(folder, "result");
}

async function resultOf({ stages }: EngineJob, file: string): Promise<EngineResult["result"]> {
  const last = stages.at(-1);
  if (last === undefined) return null;
  const bytes = new Uint8Array(await readFile(file));
  return bytes.length === 0 ? null : decodeFrame(bytes, last.columns);
}

type Reply = Pick<EngineResult, "ids" | "engine"> & { readonly boosted?: Omit<Boosted, "model" | "engine"> };

interface Running {
  onProgress(progress: EngineProgress): void;
  resolve(reply: Reply): void;
  reject(error: unknown): void;
}

/** Spark, from its start to its end: starting takes longer than many a job, so one session does all jobs of an engine, one after the other. */
class Session {
  isOver = false;
  private readonly child: ChildProcess;
  private readonly options: SparkOptions;
  private readonly ended: Promise<void>;
  private readonly kill = (): void => void this.child.kill();
  private log = "";
  private running: Running | null = null;

  static async begin(options: SparkOptions, conf: Readonly<Record<string, string>>): Promise<Session> {
    const folder = await mkdtemp(path.join(tmpdir(), "sentinel-spark-"));
    const file = path.join(folder, "session.json");
    await writeFile(file, JSON.stringify({ master: options.master, conf }), { mode: PRIVATE_FILE_MODE });
    return new Session(options, { file, folder });
  }

  private constructor(options: SparkOptions, { file, folder }: { readonly file: string; readonly folder: string }) {
    this.options = options;
    this.child = spawn(options.python, [JOB, file], { stdio: ["pipe", "pipe", "pipe"] });
    process.once("exit", this.kill);
    this.child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.log = (this.log + text).slice(-LOG_CHARACTERS);
    });
    // A job that is asked for when Python has ended: `close` says why.
    this.child.stdin!.on("error", () => {});
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.hear(parsed(line)));
    this.ended = new Promise((resolve) => {
      const end = (fault: SentinelError): void => {
        this.isOver = true;
        process.removeListener("exit", this.kill);
        this.running?.reject(fault);
        this.running = null;
        void rm(folder, { recursive: true, force: true }).finally(resolve);
      };
      this.child.once("error", (cause) => end(noPython(options.python, messageOf(cause), cause)));
      this.child.once("close", (exit, signal) => end(faultOf(this.log, exit ?? signal ?? "unknown", options)));
    });
  }

  run(
    files: { readonly job: string; readonly result: string },
    onProgress: (progress: EngineProgress) => void,
  ): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.isOver) {
        reject(faultOf(this.log, "its end", this.options));
        return;
      }
      assert(this.running === null, "an engine does one job at a time");
      this.running = { onProgress, resolve, reject };
      this.child.stdin!.write(`${JSON.stringify(files)}\n`);
    });
  }

  /** Lets Spark end by itself, which removes what it has written. */
  async close(): Promise<void> {
    if (this.isOver) return;
    this.child.stdin!.end();
    const timer = setTimeout(() => this.child.kill("SIGKILL"), CLOSE_MS_MAX);
    await this.ended;
    clearTimeout(timer);
  }

  private hear({ progress, result, failed }: ReturnType<typeof parsed>): void {
    const { running } = this;
    if (running === null) return;
    if (progress !== undefined) running.onProgress(progress);
    if (result === undefined && failed === undefined) return;
    this.running = null;
    if (result !== undefined) running.resolve(result);
    else running.reject(faultOf(failed!, "an error", this.options));
  }
}

function parsed(line: string): {
  readonly progress?: EngineProgress;
  readonly result?: Reply;
  /** The trace of a job that failed. */
  readonly failed?: string;
} {
  try {
    return JSON.parse(line) as ReturnType<typeof parsed>;
  } catch {
    // Something of Spark's own.
    return {};
  }
}

/** What a worker said, where one did; else the last lines of what Spark did. */
function faultOf(log: string, code: number | string, { python, master }: SparkOptions): SentinelError {
  const own = workerFault(log);
  if (own !== null) return own;
  if (/ModuleNotFoundError: No module named '(pyspark|pyarrow|numpy|pandas|xgboost|sklearn)/.test(log)) {
    return noPython(python, /No module named '[^']+'/.exec(log)![0]);
  }
  const lines = log.trim().split("\n");
  const shown =
    lines.filter((line) => /(Exception|Error)\b/.test(line) && !/^\s+at /.test(line)).at(-1) ?? lines.at(-1);
  const isAway =
    /(Connection refused|All masters are unresponsive|UnknownHostException|Could not parse Master URL)/.test(log);
  return new SentinelError(
    isAway ? "engine.unreachable" : "engine.failed",
    `Spark at ${master} ended with ${code}: ${(shown ?? "it said nothing").trim().slice(0, 400)}`,
    { hint: isAway ? "check --master, and that the machine can be reached" : "Spark's own log of the stage says more" },
  );
}

function workerFault(log: string): SentinelError | null {
  const at = log.lastIndexOf(ERROR_MARK);
  if (at < 0) return null;
  const text = /^\{.*\}/.exec(log.slice(at + ERROR_MARK.length).split("\n")[0])?.[0];
  if (text === undefined) return null;
  const { exit, words } = JSON.parse(text) as { readonly exit: number | string; readonly words: string };
  for (const line of words.split("\n").reverse()) {
    if (!line.startsWith('{"sentinel":')) continue;
    const { code, message, hint } = (JSON.parse(line) as { sentinel: Record<"code" | "message" | "hint", string> })
      .sentinel;
    const known = Object.hasOwn(ERROR_KINDS, code) ? (code as ErrorCode) : "engine.failed";
    return new SentinelError(known, message, { hint });
  }
  const last = words.trim().split("\n").at(-1) ?? "";
  return new SentinelError("engine.failed", `a process of the cluster ended with ${exit}: ${last.slice(0, 400)}`, {
    hint: "a process that was killed had too little memory: give the executors more beside Spark's own (spark.executor.memoryOverhead), or cut the rows into more --partitions",
  });
}

function noPython(python: string, what: string, cause?: unknown): SentinelError {
  return new SentinelError("engine.unreachable", `${python} cannot run PySpark: ${what}`, {
    hint: "install pyspark, pyarrow and numpy for that Python, to train also xgboost, scikit-learn and pandas, or name another by SENTINEL_SPARK_PYTHON (docs/spark.md)",
    cause,
  });
}
