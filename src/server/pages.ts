// Pages: GET / and /ui/…, the dashboard's files, held in memory from the start; a browser runs nothing beside them.
import { SentinelError } from "../core/errors.ts";
import type { RequestContext, Server, ServerRoute } from "./parts.ts";

const INDEX = "index.html";
/** Scripts, styles, pictures and requests of this origin alone; nothing in line, no frame around it, no form that leads elsewhere. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");
/** What a browser may do with a page. */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": POLICY,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};
/** The name of a file changes with its content, so that no browser ever needs to ask again. */
const FOR_EVER = "public, max-age=31536000, immutable";

const file = { method: "GET", access: "open" } as const;

export const pageRoutes: readonly ServerRoute[] = [
  {
    ...file,
    path: "/",
    summary: "The dashboard, for browsers.",
    answers: { "text/html": { type: "string" } },
    runServer: (server, context) => served(server, context, { name: INDEX, cache: "no-cache" }),
  },
  {
    ...file,
    path: "/ui/{file}",
    summary: "A file of the dashboard.",
    answers: { "text/javascript": {}, "text/css": {}, "image/svg+xml": {}, "text/html": {} },
    runServer: (server, context) => served(server, context, { name: context.req.param("file") ?? "", cache: FOR_EVER }),
  },
];

function served(
  { pages }: Server,
  context: RequestContext,
  { name, cache }: { readonly name: string; readonly cache: string },
): Response {
  const page = pages?.get(name);
  if (page === undefined) {
    throw new SentinelError("request.not-found", `the dashboard has no file ${JSON.stringify(name.slice(0, 100))}`, {
      hint: pages === null ? "this server was started without one: `npm run build` makes it" : "load / again",
    });
  }
  const zipped = /\bgzip\b/.test(context.req.header("accept-encoding") ?? "");
  return new Response(zipped ? page.gzip : page.bytes, {
    headers: {
      "content-type": page.type,
      ...PAGE_HEADERS,
      "cache-control": cache,
      vary: "accept-encoding",
      ...(zipped ? { "content-encoding": "gzip" } : {}),
    },
  });
}
