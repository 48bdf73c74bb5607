// GET /openapi.json and /docs: the routes described from the same schemas that check requests.
import { ERROR_KINDS } from "../core/errors.ts";
import { titleOf as titleOfStatus } from "../online/problem.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { Clock } from "../ports/ports.ts";
import { jsonResponse, PREFIX, type RequestContext, type Route, type Server, type ServerRoute } from "./parts.ts";
import { PROBLEM_TYPE } from "./problem.ts";
import { PROBLEM_SCHEMA, SCHEMAS } from "./schemas.ts";
import { SESSION_COOKIE } from "./sessions.ts";
import { requestSchemas } from "./transaction-schema.ts";

type AnyRoute = Route | ServerRoute;

/** The routes that describe all the others: those of the server, and those of one pipeline alone. */
export function describingRoutes(others: readonly AnyRoute[]): readonly ServerRoute[] {
  const html = { "text/html": { type: "string" } };
  const json = { "application/json": { type: "object" } };
  const about = { method: "GET", access: "any" } as const;
  const own: ServerRoute[] = [
    {
      ...about,
      path: "/openapi.json",
      summary: "This document.",
      answers: json,
      runServer: (server) => jsonResponse(documentOf(wholeOf(server))),
    },
    {
      ...about,
      path: "/docs",
      summary: "The routes as a page.",
      answers: html,
      runServer: (server) => pageResponse(pageOf(wholeOf(server))),
    },
    {
      ...about,
      path: `${PREFIX}/openapi.json`,
      summary: "The routes of one pipeline as a document.",
      answers: json,
      runServer: (server, context) => jsonResponse(documentOf(partOf(server, context))),
    },
    {
      ...about,
      path: `${PREFIX}/docs`,
      summary: "The routes of one pipeline as a page.",
      answers: html,
      runServer: (server, context) => pageResponse(pageOf(partOf(server, context))),
    },
  ];
  const all: readonly AnyRoute[] = [...others, ...own];
  /** Every route; those of a pipeline for the default one, and below its name for each of the others. */
  const wholeOf = (server: Server): Contract => {
    const { pipelines, packageVersion } = server;
    const sections: Section[] = [];
    for (const { name, engine } of pipelines.all()) {
      if (engine === null) continue;
      const isMain = name === pipelines.mainName;
      sections.push({ parts: engine, at: isMain ? "" : `/pipelines/${name}`, schemas: isMain ? "" : `${name}.` });
    }
    return { sections, routes: all, packageVersion, url: "/" };
  };
  const partOf = ({ pipelines, packageVersion }: Server, context: RequestContext): Contract => {
    const parts = pipelines.find(context.req.param("pipeline") ?? "");
    const routes = all.filter((route) => !("runServer" in route));
    return {
      sections: [{ parts, at: "", schemas: "" }],
      routes,
      packageVersion,
      url: `/pipelines/${parts.pipeline.name}`,
    };
  };
  return own;
}

/** The document of a server without pipelines: every route that is no pipeline's own. What `ui/` is typed by. */
export function platformDocument(routes: readonly AnyRoute[], packageVersion: string): object {
  return documentOf({ sections: [], routes, packageVersion, url: "/" });
}

/** One pipeline of a contract. */
interface Section {
  readonly parts: Described;
  /** What stands before the paths of its routes, and before the names of its own schemas. */
  readonly at: string;
  readonly schemas: string;
}

interface Contract {
  readonly sections: readonly Section[];
  readonly routes: readonly AnyRoute[];
  readonly packageVersion: string;
  /** Where the paths begin. */
  readonly url: string;
}

interface Described {
  readonly pipeline: Pipeline;
  readonly schema: object;
  readonly aheadMaxMs: number;
  readonly ports: { readonly clock: Clock };
}

function documentOf(contract: Contract) {
  const { sections, packageVersion, url } = contract;
  const paths: Record<string, Record<string, object>> = {};
  for (const { path, route, section } of placesOf(contract)) {
    paths[path] ??= {};
    const isShared = routesAt(contract, route.path) > 1;
    paths[path][route.method.toLowerCase()] = ownOf(operationOf(route, path, isShared), section);
  }
  const models = sections.map(({ parts: { pipeline } }) => `model ${pipeline.model} (pipeline ${pipeline.name})`);
  const aliases = sections.map(({ parts }) => aliasText(parts)).filter((text) => text !== "");
  return {
    openapi: "3.1.0",
    info: {
      title: titleOf(sections),
      version: packageVersion,
      description: [`Decisions of ${models.join(", ")}.`, ...aliases].join(" "),
    },
    ...(url === "/" ? {} : { servers: [{ url }] }),
    paths,
    components: {
      schemas: schemasOf(sections),
      responses: PROBLEMS,
      headers: HEADERS,
      securitySchemes: {
        key: { type: "http", scheme: "bearer" },
        session: { type: "apiKey", in: "cookie", name: SESSION_COOKIE },
      },
    },
  };
}

/** Methods of one path. */
function routesAt({ routes }: Contract, path: string): number {
  return routes.filter((route) => route.path === path).length;
}

interface RoutePlace {
  readonly path: string;
  readonly route: AnyRoute;
  /** null: no pipeline's own. */
  readonly section: Section | null;
}

/** Each route at each of its places. */
function placesOf({ sections, routes }: Contract): readonly RoutePlace[] {
  return routes.flatMap((route): readonly RoutePlace[] => {
    if ("runServer" in route) return [{ path: route.path, route, section: null }];
    return sections.map((section) => ({ path: `${section.at}${route.path}`, route, section }));
  });
}

/** An operation with references to the schemas of its pipeline. */
function ownOf(operation: object, section: Section | null): object {
  if (section === null || section.schemas === "") return operation;
  const begin = "#/components/schemas/";
  const names = Object.keys(requestSchemas(section.parts, 0));
  return JSON.parse(JSON.stringify(operation), (key, value: unknown) => {
    if (key !== "$ref" || typeof value !== "string" || !names.includes(value.slice(begin.length))) return value;
    return `${begin}${section.schemas}${value.slice(begin.length)}`;
  }) as object;
}

function schemasOf(sections: readonly Section[]): Record<string, object> {
  const own = sections.flatMap(({ parts, schemas }) =>
    Object.entries(requestSchemas(parts, parts.ports.clock.now())).map(([name, schema]) => [
      `${schemas}${name}`,
      schema,
    ]),
  );
  return { ...Object.fromEntries(own), ...SCHEMAS };
}

function titleOf(sections: readonly Section[]): string {
  return `Sentinel: ${sections.map(({ parts }) => parts.pipeline.name).join(", ")}`;
}

function pageResponse(page: string): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    },
  });
}

const ASKED = [{ key: [] }, { session: [] }];

const HEADERS: Readonly<Record<string, object>> = {
  "X-Request-Id": { description: "The client's own id of the request, or the server's.", schema: { type: "string" } },
  "Retry-After": { description: "Seconds; where the same request may succeed later.", schema: { type: "string" } },
  Allow: { description: "The methods that there are at this path.", schema: { type: "string" } },
  ETag: { description: "Of one thing that can be changed: what If-Match takes.", schema: { type: "string" } },
};

function headersOf(...names: readonly string[]): object {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

const KINDS = Object.values(ERROR_KINDS);
/** Every status of a refusal. A fault of the server, 500, is no part of the contract. */
const STATUSES: readonly number[] = [...new Set(KINDS.map(({ http }) => http))].filter((http) => http !== 500).sort();
const PROBLEM_CONTENT = { [PROBLEM_TYPE]: { schema: PROBLEM_SCHEMA } };

/** The problem documents by their status, which every operation refers to. */
const PROBLEMS: Readonly<Record<string, object>> = Object.fromEntries(
  STATUSES.map((status) => {
    const isRetryable = KINDS.some(({ http, retryable }) => http === status && retryable);
    const more = [...(isRetryable ? ["Retry-After"] : []), ...(status === 405 ? ["Allow"] : [])];
    const headers = headersOf("X-Request-Id", ...more);
    return [`Problem${status}`, { description: `${titleOfStatus(status)}.`, headers, content: PROBLEM_CONTENT }];
  }),
);

/** Of what is sent too slowly, is too large or of another type. */
const OF_BODIES: readonly number[] = [408, 413, 415];
/** Of conditions, which changes below /api have. */
const OF_CONDITIONS: readonly number[] = [412, 428];
/** Of callers, and of what is known of what they ask about. */
const OF_CALLERS: readonly number[] = [401, 403, 409, 429];

/** The statuses that a route may refuse with, itself or the door before it. */
function refusalsOf(route: AnyRoute): readonly number[] {
  const { method, path, access, body } = route;
  const isApi = path.startsWith("/api/");
  const asks = !("runServer" in route) || access !== "open" || method !== "GET" || isApi || path.includes("{");
  return STATUSES.filter((status) => {
    if (OF_BODIES.includes(status)) return body !== undefined;
    if (OF_CONDITIONS.includes(status)) return isApi && method !== "GET";
    return OF_CALLERS.includes(status) ? asks : true;
  });
}

function operationOf(route: AnyRoute, path: string, isShared: boolean): object {
  const name = path.replace(/\W+/g, "_").replace(/^_|_$/g, "");
  return {
    operationId: isShared ? `${route.method.toLowerCase()}_${name}` : name,
    summary: route.summary,
    // Without keys only the admin routes ask for one.
    ...(route.access === "open" ? {} : { security: route.access === "admin" ? ASKED : [...ASKED, {}] }),
    ...parametersOf(route),
    ...(route.body === undefined
      ? {}
      : { requestBody: { required: route.bodyIsOptional !== true, content: contentOf(route.body) } }),
    responses: {
      [route.done ?? 200]: doneOf(route),
      ...(route.mayBeEmpty ? { 204: { description: "There is nothing.", headers: headersOf("X-Request-Id") } } : {}),
      ...Object.fromEntries(
        refusalsOf(route).map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]),
      ),
      ...(route.tellsUnready ? { 503: unreadyOf(route) } : {}),
    },
  };
}

function doneOf({ done, answers, path }: AnyRoute): object {
  const headers = headersOf("X-Request-Id", ...(path.startsWith("/api/") ? ["ETag"] : []));
  return done === 303
    ? { description: "Leads a browser on: see Location.", headers }
    : { description: "Done.", headers, content: contentOf(answers) };
}

function unreadyOf({ answers }: AnyRoute): object {
  const content = { ...contentOf(answers), ...PROBLEM_CONTENT };
  return { description: "Not ready, and why.", headers: headersOf("X-Request-Id", "Retry-After"), content };
}

function parametersOf({ path, query = {} }: AnyRoute): { readonly parameters?: readonly object[] } {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const parameters = [...inPath, ...Object.entries(query).map(([name, what]) => ({ name, in: "query", ...what }))];
  return parameters.length === 0 ? {} : { parameters };
}

function contentOf(types: Readonly<Record<string, object>>): object {
  return Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }]));
}

function aliasText(parts: Described): string {
  const others = [...parts.pipeline.canonical].filter(([name, column]) => name !== column);
  if (others.length === 0) return "";
  return `Fields may also be called: ${others.map(([name, column]) => `${name} (${column})`).join(", ")}.`;
}

function pageOf(contract: Contract): string {
  const { sections, url } = contract;
  const routes = placesOf(contract).map(
    ({ route, path }) =>
      `<section><h2><code>${route.method} ${escaped(path)}</code></h2><p>${worded(route.summary)}</p>${Object.entries(
        route.query ?? {},
      )
        .map(([name, { description }]) => `<p><code>?${escaped(name)}=</code> ${worded(description)}</p>`)
        .join("")}${
        route.body === undefined
          ? ""
          : `<p>Body: <code>${Object.keys(route.body).map(escaped).join("</code>, <code>")}</code></p>`
      }</section>`,
  );
  const shapes = Object.entries(schemasOf(sections)).map(
    ([name, schema]) =>
      `<details><summary><code>${escaped(name)}</code></summary><pre>${escaped(JSON.stringify(schema, null, 2))}</pre></details>`,
  );
  const aliases = sections.map(({ parts }) => aliasText(parts)).filter((text) => text !== "");
  const title = escaped(titleOf(sections));
  const document = `${url === "/" ? "" : url}/openapi.json`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<meta name="viewport" content="width=device-width"><style>
:root{color-scheme:light dark;--ink:#222;--ground:#fff;--sunken:#f4f4f4;--line:#ddd;--link:#2450c8}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7ec;--ground:#14171c;--sunken:#1f242c;--line:#3a414c;--link:#8fb0ff}}
body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--ground);overflow-wrap:anywhere}
h2{font-size:1.05rem;margin-bottom:.2rem}pre{background:var(--sunken);padding:.8rem;overflow:auto}
section{border-top:1px solid var(--line)}a{color:var(--link)}
</style></head><body>
<h1>${title}</h1>
<p>${escaped(aliases.join(" "))} The same as a document: <code>${escaped(document)}</code>. <a href="/#/api">Try the routes in the dashboard</a>.</p>
${routes.join("\n")}
<h2>Shapes</h2>
${shapes.join("\n")}
</body></html>
`;
}

/** Words of a description, of which those between backticks are code. */
function worded(text: string): string {
  return escaped(text).replace(/`([^`]+)`/g, "<code>$1</code>");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
