// Writes docs/troubleshooting.md from the tables of error codes; with --check only says whether it is up to date.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = path.join(ROOT, "docs", "troubleshooting.md");

/** What the part before the dot of a code names. A new one needs a line here. */
const AREAS = {
  cli: "Command line",
  config: "Environment",
  workspace: "Workspace and results",
  pipeline: "Pipeline file",
  dataset: "Tables",
  quality: "Expectation suites",
  features: "Features",
  expression: "Expressions",
  rules: "Rules",
  labels: "Labels",
  ml: "Learning and scoring",
  bundle: "Bundles",
  registry: "Registry",
  lifecycle: "Verbs",
  evidence: "Comparisons",
  drift: "Drift",
  engine: "Engines",
  server: "Server",
  keys: "Keys",
  request: "Requests",
  log: "Prediction log",
  login: "Logins by a provider",
  archive: "Archive and buckets",
  cases: "Cases",
  state: "Feature state",
  schemas: "Schemas",
  stream: "Streams",
  store: "Store",
  tenant: "Tenants",
  bug: "Bugs",
};

const HEAD = `# Troubleshooting

Every error has a code. On the command line it stands in brackets below the message and the hint, in an HTTP answer it is the field \`code\`, in a gRPC answer the trailing
metadata \`sentinel-code\`; the hint says what to do in that case. Below is what all cases of a code share: exit code of the command, HTTP and gRPC status of the
answer, and whether the same call may succeed later.
A verdict that said no (exit code 1) is no error and has no code.

Made from \`src/core/errors.ts\` and \`src/core/error-guide.ts\` by \`npm run map\`; a test compares.
`;

const jiti = createJiti(import.meta.url);
const { ERROR_KINDS } = await jiti.import("../src/core/errors.ts");
const { ERROR_GUIDE } = await jiti.import("../src/core/error-guide.ts");

const page = renderPage();
const written = existsSync(PAGE) ? readFileSync(PAGE, "utf8") : "";
if (page === written) process.exit(0);
if (process.argv.includes("--check"))
  fail("docs/troubleshooting.md differs from the tables of error codes: npm run map");
writeFileSync(PAGE, page);
console.log("docs/troubleshooting.md is new");

function renderPage() {
  const codes = Object.keys(ERROR_KINDS).sort();
  for (const code of codes)
    if (!(areaOf(code) in AREAS)) fail(`area ${areaOf(code)} is not named in scripts/troubleshooting.mjs`);
  const sections = Object.entries(AREAS)
    .map(([area, title]) => [title, codes.filter((code) => areaOf(code) === area)])
    .filter(([, own]) => own.length > 0);
  return `${HEAD}${sections.map(([title, own]) => section(title, own)).join("")}`;
}

function section(title, codes) {
  return `
## ${title}

| code | means | what to do | exit | HTTP | gRPC | retry |
| --- | --- | --- | --- | --- | --- | --- |
${codes.map(row).join("")}`;
}

function row(code) {
  const { http, grpc, exit, retryable } = ERROR_KINDS[code];
  if (ERROR_GUIDE[code] === undefined) fail(`${code} is not in src/core/error-guide.ts`);
  const { meaning, todo } = ERROR_GUIDE[code];
  const cells = [`\`${code}\``, `${meaning}.`, todo, exit, http, grpc, retryable ? "yes" : "no"];
  return `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |\n`;
}

function areaOf(code) {
  return code.split(".")[0];
}

function fail(message) {
  console.error(`troubleshooting: ${message}`);
  process.exit(1);
}
