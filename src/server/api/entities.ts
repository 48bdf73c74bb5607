// GET /api/entities/{column}/{value}: an entity's time-line, and whom it is linked to.
import { boundedValue } from "../../cases/entity.ts";
import { ENTITY_ENTRIES_MAX, ENTITY_TRANSACTIONS_MAX, lookAtEntity } from "../../lifecycle/desk.ts";
import { lastForgotten } from "../../lifecycle/forgotten.ts";
import type { PipelineRecord } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerParts, type ServerRoute } from "../parts.ts";
import { shownCase } from "./cases.ts";
import { apiRoute, checkQuery, isoOf, platformOf, whoseOf } from "./exchange.ts";
import { done } from "./shapes.ts";

const EVENTS_MAX = 200;
const LISTED_MAX = 100;

export const entityRoute: ServerRoute = apiRoute("GET /api/entities/{column}/{value}", {
  access: "viewer",
  summary: `An entity's newest transactions, alerts, cases and labels by time (among the newest ${ENTITY_ENTRIES_MAX} of the log), and linked entities over two hops.`,
  query: {
    pipeline: {
      description: "Id or slug of the pipeline; may be left out where there is one.",
      schema: { type: "string" },
    },
  },
  gives: done({
    column: { type: "string" },
    value: { type: "string" },
    timeline: { type: "array", items: { type: "object" } },
    nodes: { type: "array", items: { type: "object" } },
    edges: { type: "array", items: { type: "object" } },
  }),
  run: look,
});

async function look(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, ["pipeline"]);
  const { record, parts } = await whoseOf(server, context, context.req.query("pipeline"));
  const column = context.req.param("column") ?? "";
  const value = context.req.param("value") ?? "";
  const { transactions, graph, seen } = await lookAtEntity(parts, {
    column,
    value,
    forgotten: await lastForgotten(await platformOf(server).store()),
  });
  const timeline = [
    ...transactions.flatMap(({ id, time, amount, decision, score, labels }) => [
      { kind: "transaction", at: time, transaction_id: id, amount, decision, score },
      ...labels.map(({ fraud, source, knownAt }) => ({
        kind: "label",
        at: knownAt,
        transaction_id: id,
        fraud,
        source,
      })),
    ]),
    ...(await alertsAndCases(server, { record, parts, column, value })),
  ].sort((a, b) => b.at - a.at);
  return jsonResponse({
    column,
    value,
    pipeline: record.slug,
    timeline: timeline.slice(0, EVENTS_MAX).map(({ at, ...event }) => ({ ...event, at: isoOf(at) })),
    nodes: graph.nodes,
    edges: graph.edges,
    nodes_left: graph.left,
    seen: {
      transactions: seen.transactions,
      from: seen.from === null ? null : isoOf(seen.from),
      shown_max: ENTITY_TRANSACTIONS_MAX,
    },
  });
}

/** Alerts know the card alone, cases their entity's column: the same value in another column is somebody else. */
async function alertsAndCases(
  server: Server,
  of: {
    readonly record: PipelineRecord;
    readonly parts: ServerParts;
    readonly column: string;
    readonly value: string;
  },
): Promise<readonly ({ readonly kind: string; readonly at: number } & object)[]> {
  const { record, parts, value } = of;
  const { columns, canonical } = parts.pipeline;
  const column = canonical.get(of.column) ?? of.column;
  const store = await platformOf(server).store();
  const cases = await store.cases.page({ pipelines: [record.id], entity: boundedValue(value) }, { limit: LISTED_MAX });
  const alerts =
    column === columns.card
      ? (await store.alerts.page({ pipeline: record.id, entity: value }, { limit: LISTED_MAX })).items
      : [];
  const at = server.clock.now();
  const own = cases.items.filter(({ entity }) => entity.column === column);
  return [
    ...own.map((one) => ({ kind: "case", at: one.openedAt, case: shownCase(one, { record, at }) })),
    ...alerts.map((alert) => ({
      kind: "alert",
      at: alert.alertedAt,
      alert_id: alert.id,
      severity: alert.severity,
      decision: alert.decision,
      transaction_id: alert.transactionId,
    })),
  ];
}
