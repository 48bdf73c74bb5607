// Readers that leave and disks that are full: the work of a verb goes on to its end, its exit code stays true, no stack is printed.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MAIN, makeWorkspace, removeWorkspace, sentinel, sentinelJson } from "./sentinel.ts";

const WORLD = ["--customers", "120", "--terminals", "200", "--days", "60", "--seed", "7"];
/** Few frauds make the gates say no, which is not the matter here. */
const FORCED = ["--force", "--reason", "a test of closed pipes"];
const FULL = "/dev/full";

let dir: string;

beforeAll(async () => {
  dir = makeWorkspace();
  expect(await sentinel(["simulate", "--out", "data/transactions.parquet", ...WORLD], { cwd: dir })).toMatchObject({
    code: 0,
  });
});
afterAll(() => removeWorkspace(dir));

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** Runs with a standard output whose reader leaves after so many lines: 0 closes it at once, as `| true` does. */
function runWithReader(lines: number, args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: dir,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  let seen = 0;
  if (lines === 0) child.stdout.destroy();
  else
    createInterface({ input: child.stdout }).on("line", () => {
      if (++seen === lines) child.stdout.destroy();
    });
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stderr })));
}

/** Runs with a standard output (or, `fd` 2, standard error) on a disk without room. */
function runIntoFull(args: readonly string[], fd: 1 | 2 = 1): Promise<Ended> {
  const full = openSync(FULL, "w");
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: dir,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: fd === 1 ? ["ignore", full, "pipe"] : ["ignore", "pipe", full],
  });
  closeSync(full);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdout?.resume();
  return new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal, stderr })));
}

const versions = async (): Promise<number> =>
  (await sentinelJson(["registry", "list"], { cwd: dir })).json.versions.length;
const aliases = async (): Promise<Readonly<Record<string, string | undefined>>> =>
  (await sentinelJson(["registry", "list"], { cwd: dir })).json.aliases;
const champion = async (): Promise<string | undefined> => (await aliases()).champion;
const candidate = async (): Promise<string | undefined> => (await aliases()).candidate;

describe("a reader that leaves", () => {
  test.each([1, 0])("after %i lines does not end a training", async (lines) => {
    const before = await versions();
    const ran = await runWithReader(lines, ["train", ...FORCED]);
    expect(ran).toEqual({ code: 0, signal: null, stderr: "" });
    expect(await versions()).toBe(before + 1);
  });

  test("does not end a promotion", async () => {
    expect(await champion()).toBeUndefined();
    expect(await runWithReader(0, ["promote", ...FORCED])).toEqual({ code: 0, signal: null, stderr: "" });
    expect(await champion()).toBe("2");
  });

  test.each([[[]], [["--json"]]])("does not turn a no into a yes %j", async (json) => {
    // A no leaves the candidate where it is.
    if ((await candidate()) === undefined) await sentinel(["train", ...FORCED], { cwd: dir });
    expect(await candidate()).toBe("3");
    expect(await runWithReader(0, ["promote", ...json])).toEqual({ code: 1, signal: null, stderr: "" });
    expect(await champion()).toBe("2");
  });

  test("does not turn a refusal or a bad word into a yes", async () => {
    expect(await runWithReader(0, ["train", "--json", "--seed", "x"])).toMatchObject({ code: 2, stderr: "" });
    expect(await runWithReader(0, ["fly", "--json"])).toMatchObject({ code: 2, stderr: "" });
    expect(await runWithReader(0, [])).toMatchObject({ code: 2, stderr: "" });
    expect(await runWithReader(0, ["--help"])).toMatchObject({ code: 0, stderr: "" });
  });

  test("ends a stream, as it should", async () => {
    expect(await runWithReader(3, ["simulate", "--rate", "200", ...WORLD])).toEqual({
      code: 0,
      signal: null,
      stderr: "",
    });
  });

  test("of both outputs (`2>&1 | true`) does not end a promotion", async () => {
    const child = spawn(
      "bash",
      [
        "-c",
        `"$0" "$@" 2>&1 | true; exit "\${PIPESTATUS[0]}"`,
        process.execPath,
        MAIN,
        "promote",
        "--to",
        "1",
        ...FORCED,
      ],
      { cwd: dir, stdio: "ignore" },
    );
    expect(await new Promise((resolve) => child.on("close", resolve))).toBe(0);
    expect(await champion()).toBe("1");
  });
});

describe.skipIf(!existsSync(FULL))("a disk without room", () => {
  test("does not end a training; what was lost is said on standard error", async () => {
    const before = await versions();
    const ran = await runIntoFull(["train", ...FORCED]);
    expect(ran).toMatchObject({ code: 0, signal: null });
    expect(ran.stderr).toMatch(/^! not all that was said could be written to standard output: .*ENOSPC.*\n$/);
    expect(await versions()).toBe(before + 1);
  });

  test("does not turn a no into a yes", async () => {
    expect(await runIntoFull(["promote"])).toMatchObject({ code: 1, signal: null });
  });

  test("costs a document its yes: half of it must not look like a whole one", async () => {
    const ran = await runIntoFull(["registry", "list", "--json"]);
    expect(ran).toMatchObject({ code: 3, signal: null });
    expect(ran.stderr).toMatch(/^✘ .*ENOSPC.*\n {2}what to do: .*\n {2}\(cli\.output-lost\)\n$/);
  });

  test("ends a stream with a code that says so", async () => {
    const ran = await runIntoFull(["simulate", "--rate", "1000", "--count", "1", ...WORLD]);
    expect(ran).toMatchObject({ code: 3, signal: null });
    expect(ran.stderr).toContain("(cli.output-lost)");
  });

  test("keeps the exit code of a refusal, with no stack", async () => {
    for (const args of [["fly"], ["fly", "--json"], ["train", "--seed", "x", "--json"]]) {
      const ran = await runIntoFull(args);
      expect(ran, args.join(" ")).toMatchObject({ code: 2, signal: null });
      expect(ran.stderr, args.join(" ")).not.toMatch(/^\s+at |Unhandled|node:/m);
    }
    expect(await runIntoFull(["fly"], 2)).toMatchObject({ code: 2, signal: null });
  });
});

describe("a server", () => {
  /** One transaction; what the server says to it. */
  const predict = async (url: string, id: number): Promise<number> => {
    const body = { id: `s-${id}`, amount: 9.5, customer_id: 1, terminal_id: 2, time: Date.UTC(2018, 6, 1) + id };
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    return (await fetch(`${url}/predict`, init)).status;
  };
  const port = 20_000 + (process.pid % 20_000);
  let answered = 0;
  const url = `http://127.0.0.1:${port}`;

  async function ready(ended: Promise<unknown>): Promise<void> {
    let over = false;
    void ended.then(() => {
      over = true;
    });
    await expect
      .poll(
        () =>
          over
            ? "ended"
            : fetch(`${url}/readyz`).then(
                ({ status }) => status,
                () => 0,
              ),
        { timeout: 60_000 },
      )
      .toBe(200);
  }

  test.each([
    ["standard output has lost its reader", 'exec "$0" "$@" 2>/dev/null'],
    ["both outputs have lost their reader", 'exec "$0" "$@" 2>&1'],
    ["its log is on a full disk", `exec "$0" "$@" 2>${FULL}`],
  ])("answers and drains when %s", async (_, command) => {
    const child = spawn("bash", ["-c", command, process.execPath, MAIN, "serve", "--port", String(port)], {
      cwd: dir,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.on("close", (code, signal) => resolve({ code, signal })),
    );
    child.stdout.destroy();
    try {
      await ready(ended);
      for (let i = 0; i < 20; i++) expect(await predict(url, ++answered)).toBe(200);
      child.kill("SIGTERM");
      const patience = setTimeout(() => child.kill("SIGKILL"), 30_000);
      expect(await ended).toEqual({ code: 0, signal: null });
      clearTimeout(patience);
    } finally {
      child.kill("SIGKILL");
    }
    // Drained: the lock is gone, and every answer is in the log.
    expect(existsSync(path.join(dir, "models", "state", "locks", "serve-card.lock"))).toBe(false);
    const replayed = await sentinelJson(["replay"], { cwd: dir });
    expect(replayed).toMatchObject({ code: 0, json: { verdict: "pass", compared: answered } });
  });
});
