// GET /openapi.json and /docs: the routes described from the same schemas that check requests.
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Clock } from "../ports/ports.ts";
import { jsonResponse, type Route } from "./parts.ts";
import { PROBLEM_TYPE } from "./problem.ts";
import { PROBLEM_SCHEMA, SCHEMAS } from "./schemas.ts";
import { requestSchemas } from "./transaction-schema.ts";

/** The two routes that describe all the others. */
export function describingRoutes(others: readonly Route[]): readonly Route[] {
  const openapi: Route = {
    method: "GET",
    access: "any",
    path: "/openapi.json",
    summary: "This document.",
    answers: { "application/json": { type: "object" } },
    run: (parts) => jsonResponse(documentOf([...others, openapi, docs], parts)),
  };
  const docs: Route = {
    method: "GET",
    access: "any",
    path: "/docs",
    summary: "The routes as a page.",
    answers: { "text/html": { type: "string" } },
    run: (parts) =>
      new Response(pageOf([...others, openapi, docs], parts), {
        headers: {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
        },
      }),
  };
  return [openapi, docs];
}

interface Described {
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly aheadMaxMs: number;
  readonly packageVersion: string;
  readonly ports: { readonly clock: Clock };
}

function documentOf(routes: readonly Route[], parts: Described) {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    paths[route.path][route.method.toLowerCase()] = operationOf(route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: `Sentinel: ${parts.pipeline.name}`,
      version: parts.packageVersion,
      description: `Decisions of model ${parts.pipeline.model}. ${aliasText(parts)}`,
    },
    paths,
    components: {
      schemas: { ...requestSchemas(parts, parts.ports.clock.now()), ...SCHEMAS },
      securitySchemes: { key: { type: "http", scheme: "bearer" } },
    },
  };
}

function operationOf(route: Route): object {
  const problem = { description: "A problem document.", content: { [PROBLEM_TYPE]: { schema: PROBLEM_SCHEMA } } };
  return {
    operationId: route.path.replace(/\W+/g, "_").replace(/^_|_$/g, ""),
    summary: route.summary,
    // Without keys only the admin routes ask for one.
    ...(route.access === "open" ? {} : { security: route.access === "admin" ? [{ key: [] }] : [{ key: [] }, {}] }),
    ...(route.query === undefined ? {} : { parameters: parametersOf(route.query) }),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: contentOf(route.body) } }),
    responses: {
      200: { description: "Done.", content: contentOf(route.answers) },
      ...(route.tellsUnready ? { 503: { description: "Not ready, and why.", content: contentOf(route.answers) } } : {}),
      default: problem,
    },
  };
}

function parametersOf(query: NonNullable<Route["query"]>): object[] {
  return Object.entries(query).map(([name, what]) => ({ name, in: "query", ...what }));
}

function contentOf(types: Readonly<Record<string, object>>): object {
  return Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }]));
}

function aliasText(parts: Described): string {
  const others = [...parts.pipeline.canonical].filter(([name, column]) => name !== column);
  if (others.length === 0) return "";
  return `Fields may also be called: ${others.map(([name, column]) => `${name} (${column})`).join(", ")}.`;
}

function pageOf(routes: readonly Route[], parts: Described): string {
  const sections = routes.map(
    (route) =>
      `<section><h2><code>${route.method} ${escaped(route.path)}</code></h2><p>${escaped(route.summary)}</p>${Object.entries(
        route.query ?? {},
      )
        .map(([name, { description }]) => `<p><code>?${escaped(name)}=</code> ${escaped(description)}</p>`)
        .join("")}${
        route.body === undefined
          ? ""
          : `<p>Body: <code>${Object.keys(route.body).map(escaped).join("</code>, <code>")}</code></p>`
      }</section>`,
  );
  const schemas = { ...requestSchemas(parts, parts.ports.clock.now()), ...SCHEMAS };
  const shapes = Object.entries(schemas).map(
    ([name, schema]) =>
      `<details><summary><code>${escaped(name)}</code></summary><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></details>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sentinel: ${escaped(parts.pipeline.name)}</title>
<meta name="viewport" content="width=device-width"><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{font-size:1.05rem;margin-bottom:.2rem}pre{background:#f4f4f4;padding:.8rem;overflow:auto}
section{border-top:1px solid #ddd}
</style></head><body>
<h1>Sentinel: ${escaped(parts.pipeline.name)}</h1>
<p>${escaped(aliasText(parts))} The same as a document: <code>/openapi.json</code>.</p>
${sections.join("\n")}
<h2>Shapes</h2>
${shapes.join("\n")}
</body></html>
`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
