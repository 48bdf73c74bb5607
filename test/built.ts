// Before any test: dist/ as a user runs it, built again when a source is newer.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export default function setup(): void {
  execFileSync(process.execPath, [path.join(ROOT, "scripts", "build.mjs"), "--if-needed"], { stdio: "inherit" });
}
