// A refusal as a page, for the one place where a browser, and not the dashboard's script, reads the answer.
import { escapeHtml } from "../core/html.ts";
import { problemOf } from "../online/problem.ts";
import { PAGE_HEADERS } from "./pages.ts";
import type { Pages } from "./parts.ts";

/** What happened and what to do next, with a way back to the login. */
export function refusalPage(error: unknown, pages: Pages | null): Response {
  const { status, title, detail, hint, code } = problemOf(error);
  const style = [...(pages?.keys() ?? [])].find((name) => name.endsWith(".css"));
  const link = style === undefined ? "" : `<link rel="stylesheet" href="/ui/${escapeHtml(style)}">`;
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>${escapeHtml(title)} · Sentinel</title>${link}</head>
<body><main class="login"><div class="card"><div class="brand"><h1>Sentinel</h1></div>
<div class="fault" role="alert"><span>${escapeHtml(detail)}</span><small>${escapeHtml(hint)}</small><small><code>${escapeHtml(code)}</code></small></div>
<a class="button main" href="/">Back to the login</a></div></main></body></html>
`;
  return new Response(page, {
    status,
    headers: { "content-type": "text/html; charset=utf-8", ...PAGE_HEADERS },
  });
}
