// Writes the tables of keys anew, from the sections of src/pipeline/; with --check only says whether they are up to date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

// Node 20 does not run TypeScript by itself.
const jiti = createJiti(import.meta.url);
const { withKeyTables } = await jiti.import("../src/pipeline/tables.ts");
const { CHAPTERS } = await jiti.import("../src/pipeline/sections.ts");
const { RULES_FILE } = await jiti.import("../src/pipeline/rules.ts");
const { LOGIN_FILE } = await jiti.import("../src/pipeline/login.ts");
const { NOTIFICATIONS_FILE } = await jiti.import("../src/pipeline/notifications.ts");

for (const [name, chapters] of [
  ["docs/configuration.md", CHAPTERS],
  ["docs/rules.md", { "Rules file": RULES_FILE.fields }],
  ["docs/dashboard.md", { "Login file": LOGIN_FILE.fields }],
  ["docs/notifications.md", { "Notifications file": NOTIFICATIONS_FILE.fields }],
]) {
  const file = fileURLToPath(new URL(`../${name}`, import.meta.url));
  const written = readFileSync(file, "utf8");
  const page = withKeyTables(written, chapters);
  if (page === written) continue;
  if (process.argv.includes("--check")) {
    console.error(`keys: ${name} differs from the sections of src/pipeline/: npm run map`);
    process.exit(1);
  }
  writeFileSync(file, page);
  console.log(`${name} is new`);
}
