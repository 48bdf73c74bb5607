// Routes of one version of a model: its card and what its inputs are worth, and the report of its training with its pictures.

import type { BundleFiles } from "../../core/bundle.ts";
import { SentinelError } from "../../core/errors.ts";
import { hasModel } from "../../pipeline/source.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import { apiRoute, engineOf, recordAt } from "./exchange.ts";
import { done } from "./shapes.ts";

/** The report is a page of its own: styles in it, no script, nothing from elsewhere, and no rights of this origin. */
const REPORT_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
/** Versions whose texts are kept: champion, candidates, and those that somebody compares. */
const KEPT_MAX = 8;

interface Texts {
  readonly card: string | null;
  readonly report: string | null;
  readonly metrics: Readonly<Record<string, unknown>>;
}

const CARD = done({
  version: { type: "string" },
  card: { type: ["string", "null"] },
  report: { type: "boolean" },
  importance: {
    type: "array",
    items: done({
      name: { type: "string" },
      gain: { type: ["number", "null"] },
      permutation: { type: ["number", "null"] },
    }),
  },
});

export const modelReportRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/pipelines/{id}/models/{version}/card", {
    access: "viewer",
    summary: "The card of a version, and what each of its inputs is worth.",
    gives: CARD,
    async run(server, context) {
      const { version, texts } = await textsAt(server, context);
      const importance = Array.isArray(texts.metrics.importance)
        ? (texts.metrics.importance as readonly unknown[])
        : [];
      return jsonResponse({
        version,
        card: texts.card,
        report: texts.report !== null,
        importance: importance.flatMap((one) => {
          const { name, gain, permutation } = (one ?? {}) as Readonly<Record<string, unknown>>;
          const number = (value: unknown): number | null => (typeof value === "number" ? value : null);
          return typeof name === "string" ? [{ name, gain: number(gain), permutation: number(permutation) }] : [];
        }),
      });
    },
  }),
  {
    findsPipeline: true,
    method: "GET",
    access: "viewer",
    path: "/api/pipelines/{id}/models/{version}/report",
    summary:
      "The report of a version's training, as a page: precision and recall by alerts, reliability, learning, importance.",
    answers: { "text/html": { type: "string" } },
    async runServer(server, context) {
      const { version, texts } = await textsAt(server, context);
      if (texts.report === null) {
        throw new SentinelError("request.not-found", `version ${version} was registered without a report`, {
          hint: "`sentinel evaluate --report FILE` makes one",
        });
      }
      return new Response(texts.report, {
        headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": REPORT_POLICY },
      });
    },
  },
];

const kept = new WeakMap<ServerParts["live"], Map<string, Texts>>();

/** Errors: request.not-found, registry.*. */
async function textsAt(
  server: Server,
  context: RequestContext,
): Promise<{ readonly version: string; readonly texts: Texts }> {
  const parts = engineOf(server, context, (await recordAt(server, context)).slug);
  const version = context.req.param("version") ?? "";
  if (!hasModel(parts.pipeline) || !/^\d{1,9}$/.test(version)) {
    throw new SentinelError("request.not-found", `there is no version ${JSON.stringify(version.slice(0, 100))}`, {
      hint: "GET /api/pipelines/{id}/models lists them",
    });
  }
  const own = kept.get(parts.live) ?? new Map<string, Texts>();
  kept.set(parts.live, own);
  const known = own.get(version);
  if (known !== undefined) return { version, texts: known };
  const texts = textsOf(await (await parts.ports.registry()).load(parts.pipeline.model, version));
  if (own.size >= KEPT_MAX) own.delete(own.keys().next().value!);
  own.set(version, texts);
  return { version, texts };
}

function textsOf(files: BundleFiles): Texts {
  const text = (name: string): string | null => {
    const bytes = files.get(name);
    return bytes === undefined ? null : new TextDecoder().decode(bytes);
  };
  return {
    card: text("card.md"),
    report: text("report.html"),
    metrics: JSON.parse(text("metrics.json") ?? "{}") as Texts["metrics"],
  };
}
