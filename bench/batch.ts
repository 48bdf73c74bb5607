// Batches: rows per second of one NDJSON stream through the real server, a candidate in shadow and the log on.
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { assert } from "../src/core/errors.ts";
import { type Bench, type BenchOptions, type Figures, median } from "./bench.ts";
import { preparedWorkspace, sentinelServer, writeBodies } from "./serving.ts";

/** Rows of one timed stream, after a shorter one that is not timed. */
const ROWS = 200_000;
const WARM_UP_ROWS = 20_000;
/** Rows per write: some hundred kilobytes. */
const CHUNK_ROWS = 1000;

export const bench: Bench = {
  async run(options): Promise<Figures> {
    const workspace = await preparedWorkspace(options);
    const bodies = JSON.parse(readFileSync(await writeBodies(options), "utf8")) as readonly string[];
    const server = await sentinelServer(workspace.dir);
    try {
      return await measure(options, { port: server.port, bodies });
    } finally {
      await server.stop();
    }
  },
};

async function measure(
  options: BenchOptions,
  { port, bodies }: { readonly port: number; readonly bodies: readonly string[] },
): Promise<Figures> {
  await stream({ port, bodies, rows: WARM_UP_ROWS, prefix: `w${options.seed}-` });
  const rates: number[] = [];
  for (let round = 0; round < options.repeats; round++) {
    const begun = performance.now();
    await stream({ port, bodies, rows: ROWS, prefix: `n${options.seed}-${round}-` });
    rates.push(ROWS / ((performance.now() - begun) / 1000));
    options.print(`  NDJSON: ${Math.round(rates[round]).toLocaleString("en")} rows/s`);
  }
  return { rowsPerSecond: median(rates) };
}

/** Sends rows and reads answers at once; every row must come back as an answer. */
function stream(task: {
  readonly port: number;
  readonly bodies: readonly string[];
  readonly rows: number;
  readonly prefix: string;
}): Promise<void> {
  const { port, bodies, rows, prefix } = task;
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/x-ndjson" };
    const sent = request({ port, host: "127.0.0.1", path: "/predict/batch", method: "POST", headers }, (response) => {
      let lines = 0;
      let problems = 0;
      response.on("data", (chunk: Buffer) => {
        for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines++;
        if (chunk.includes("urn:sentinel:error")) problems++;
      });
      response.on("end", () => {
        assert(lines === rows && problems === 0, `${rows} rows have answers, not ${lines} with ${problems} problems`);
        resolve();
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    let next = 0;
    const more = (): void => {
      while (next < rows) {
        let text = "";
        for (const end = Math.min(rows, next + CHUNK_ROWS); next < end; next++)
          text += `${bodies[next % bodies.length].replace("@", `${prefix}${next}`)}\n`;
        if (!sent.write(text)) {
          sent.once("drain", more);
          return;
        }
      }
      sent.end();
    };
    more();
  });
}
