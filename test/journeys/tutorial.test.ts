// The tutorial: every command of docs/tutorial.md is run, in its order, in one shell.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { MAIN, ROOT } from "../cli/sentinel.ts";

test("every command of the tutorial does what it says", { timeout: 300_000 }, async () => {
  const dir = mkdtempSync(path.join(tmpdir(), "sentinel-tutorial-"));
  try {
    const bin = path.join(dir, "bin");
    mkdirSync(bin);
    writeFileSync(path.join(bin, "sentinel"), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
    chmodSync(path.join(bin, "sentinel"), 0o755);
    const port = await freePort();
    const text = readFileSync(path.join(ROOT, "docs", "tutorial.md"), "utf8");
    const commands = [...text.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block.replaceAll("8000", String(port)));
    expect(commands.length).toBeGreaterThan(6);
    const script = `set -e -m\ntrap 'kill $(jobs -p) 2> gone.txt || true' EXIT\n${commands.join("\n")}`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], {
      cwd: dir,
      encoding: "utf8",
      env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, NO_COLOR: "1" },
    });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stdout).toMatch(/made pipelines\/payments\.yaml/);
    expect(stdout).toMatch(/"decision":\s*"(approve|review|block)"/);
    expect(stdout).toMatch(/1 predictions: 1 vectors and 1 scores recomputed/);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
