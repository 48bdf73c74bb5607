// Writes ui/api.gen.ts, what the dashboard knows of the API, from the document that /openapi.json answers.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";

const HEAD = `// The API as /openapi.json has it: made by \`npm run map\`, and compared by a test. Never written by hand.
// biome-ignore-all format: made by a script
`;

/** The text of ui/api.gen.ts. */
export function typesText(document) {
  return `${HEAD}\n${schemasText(document)}\n\n${routesText(document)}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = path.join(fileURLToPath(new URL("..", import.meta.url)), "ui", "api.gen.ts");
  // Node 20 runs no TypeScript by itself.
  const jiti = createJiti(import.meta.url);
  const { ROUTES } = await jiti.import("../src/server/routes.ts");
  const { platformDocument } = await jiti.import("../src/server/openapi.ts");
  const text = typesText(JSON.parse(JSON.stringify(platformDocument(ROUTES, "0"))));
  if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
    writeFileSync(file, text);
    console.log("ui/api.gen.ts is new");
  }
}

function schemasText({ components }) {
  const lines = Object.entries(components.schemas).map(
    ([name, schema]) => `  readonly ${quoted(name)}: ${typeOf(schema)};`,
  );
  return `export interface Schemas {\n${lines.join("\n")}\n}`;
}

/** `"GET /api/alerts": { query: …; body: …; answer: … }`, of every route below /api and those without a pipeline. */
function routesText({ paths }) {
  const lines = [];
  for (const [at, methods] of Object.entries(paths)) {
    if (!at.startsWith("/api/") && at !== "/openapi.json" && at !== "/pipelines") continue;
    for (const [method, operation] of Object.entries(methods)) {
      const query = (operation.parameters ?? []).filter((one) => one.in === "query");
      const asked = query.map(({ name, schema }) => `readonly ${quoted(name)}?: ${typeOf(schema)}`).join("; ");
      const body = operation.requestBody?.content?.["application/json"]?.schema;
      const done = operation.responses[200] ?? operation.responses[201];
      const answer = done?.content?.["application/json"]?.schema;
      lines.push(
        `  readonly ${quoted(`${method.toUpperCase()} ${at}`)}: { readonly query: ${asked === "" ? "Readonly<Record<string, never>>" : `{ ${asked} }`}; readonly body: ${body === undefined ? "undefined" : typeOf(body)}; readonly answer: ${answer === undefined ? "unknown" : typeOf(answer)} };`,
      );
    }
  }
  return `export interface Routes {\n${lines.join("\n")}\n}`;
}

function typeOf(schema) {
  if (schema === undefined || schema === true || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref !== undefined) return `Schemas[${JSON.stringify(schema.$ref.split("/").at(-1))}]`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.oneOf !== undefined) return schema.oneOf.map(typeOf).join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map((one) => `(${typeOf(one)})`).join(" & ");
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  return types.map((type) => plainType(type, schema)).join(" | ");
}

function plainType(type, schema) {
  if (type === "string") return "string";
  if (type === "integer" || type === "number") return "number";
  if (type === "boolean") return "boolean";
  if (type === "null") return "null";
  if (type === "array") return `readonly (${typeOf(schema.items ?? {})})[]`;
  if (type !== "object") return "unknown";
  const { properties, additionalProperties } = schema;
  if (properties === undefined) {
    const value =
      additionalProperties && typeof additionalProperties === "object" ? typeOf(additionalProperties) : "unknown";
    return `Readonly<Record<string, ${value}>>`;
  }
  const required = new Set(schema.required ?? []);
  const members = Object.entries(properties).map(
    ([name, own]) => `readonly ${quoted(name)}${required.has(name) ? "" : "?"}: ${typeOf(own)}`,
  );
  return `{ ${members.join("; ")} }`;
}

function quoted(name) {
  return /^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name);
}
