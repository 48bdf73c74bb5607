// Writes the tables of docs/configuration.md anew from the sections of src/pipeline/; with --check only says whether they are up to date.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

const PAGE = fileURLToPath(new URL("../docs/configuration.md", import.meta.url));
// Node 20 does not run TypeScript by itself.
const jiti = createJiti(import.meta.url);
const { withKeyTables } = await jiti.import("../src/pipeline/tables.ts");
const { CHAPTERS } = await jiti.import("../src/pipeline/sections.ts");

const written = readFileSync(PAGE, "utf8");
const page = withKeyTables(written, CHAPTERS);
if (page === written) process.exit(0);
if (process.argv.includes("--check")) {
  console.error("keys: docs/configuration.md differs from the sections of src/pipeline/: npm run map");
  process.exit(1);
}
writeFileSync(PAGE, page);
console.log("docs/configuration.md is new");
