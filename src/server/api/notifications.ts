// Routes of /api/notifications: what waits for whom, what nobody took and why, and another try.
import { SentinelError } from "../../core/errors.ts";
import type { DeadLetter, Message } from "../../ports/outbox.ts";
import { PAGE_MAX } from "../../ports/store.ts";
import { jsonResponse, type RequestContext, type Server, type ServerRoute } from "../parts.ts";
import { actorOf, apiRoute, checkQuery, integerIn, isoOf, nextPage, platformOf, wordIn } from "./exchange.ts";
import { done } from "./shapes.ts";

const LIMIT = 50;
const KINDS = ["waiting", "dead"] as const;
const QUERY = {
  of: {
    description: "dead (the default): what nobody took; waiting: what is on its way.",
    schema: { enum: [...KINDS] },
  },
  limit: {
    description: `So many at most (1 to ${PAGE_MAX}).`,
    schema: { type: "integer", minimum: 1, maximum: PAGE_MAX, default: LIMIT },
  },
  cursor: { description: "Where the page before ended: its next_cursor.", schema: { type: "string" } },
};

export const notificationRoutes: readonly ServerRoute[] = [
  apiRoute("GET /api/notifications", {
    findsPipeline: false,
    access: "viewer",
    summary: "Receivers with what waits for each, and the messages that nobody took, newest first.",
    query: QUERY,
    gives: done({
      targets: { type: "array", items: { type: "object" } },
      messages: { type: "array", items: { type: "object" } },
      next_cursor: { type: ["string", "null"] },
    }),
    run: list,
  }),
  apiRoute("POST /api/notifications/{message}/retry", {
    findsPipeline: false,
    access: "owner",
    summary: "Sends a dead letter again, behind what waits; one that waits is tried at once.",
    gives: done({ id: { type: "integer" }, status: { type: "string" } }),
    run: retry,
  }),
];

async function list(server: Server, context: RequestContext): Promise<Response> {
  checkQuery(context, Object.keys(QUERY));
  const limit = integerIn(context, "limit", { low: 1, high: PAGE_MAX, fallback: LIMIT });
  const kind = wordIn(context, "of", KINDS) ?? "dead";
  const { store: open, notices } = platformOf(server);
  const { outbox } = await open();
  const states = await outbox.states();
  const known = new Map(states.map((state) => [state.target, state]));
  const kinds = new Map(
    Object.entries(notices?.file.targets ?? {}).map(([name, { kind: of }]) => [name, of as string]),
  );
  const names = [...new Set([...kinds.keys(), ...known.keys()])].sort();
  const cursor = context.req.query("cursor") ?? null;
  const page = kind === "dead" ? await outbox.deadLetters({ limit, cursor }) : await outbox.waiting({ limit, cursor });
  const body = {
    targets: names.map((name) => {
      const { waiting = 0, oldestAt = null, dead = 0, sent = 0 } = known.get(name) ?? {};
      return {
        name,
        // Null: notifications.yaml names it no more.
        kind: kinds.get(name) ?? null,
        waiting,
        oldest_at: oldestAt === null ? null : isoOf(oldestAt),
        dead,
        sent,
      };
    }),
    messages: page.items.map(shown),
    next_cursor: page.next,
  };
  return jsonResponse(body, 200, nextPage(context, page.next));
}

async function retry(server: Server, context: RequestContext): Promise<Response> {
  const given = context.req.param("message") ?? "";
  const store = await platformOf(server).store();
  const at = server.clock.now();
  const id = /^[1-9]\d{0,14}$/.test(given) ? Number(given) : 0;
  const before = await store.outbox.find(id);
  const message = await store.outbox.retry(id, at);
  if (before === null || message === null) {
    throw new SentinelError(
      "request.not-found",
      `there is no message ${JSON.stringify(given.slice(0, 100))} to send again`,
      {
        hint: "GET /api/notifications lists them",
      },
    );
  }
  await store.audit.append({
    at,
    actor: actorOf(context.get("caller")),
    action: "notification.retry",
    subject: "notification",
    subjectId: given,
    pipeline: message.pipeline,
    reason: "",
    before: { cause: before.cause, tries: before.tries },
    after: null,
  });
  return jsonResponse({ id: message.id, status: "The message waits to be sent" });
}

function shown(message: DeadLetter | Message) {
  const { id, target, notice, pipeline, body, at, tries, cause, nextAt } = message;
  return {
    id,
    target,
    notice,
    pipeline,
    created_at: isoOf(at),
    tries,
    cause,
    ...("diedAt" in message
      ? { died_at: isoOf(message.diedAt) }
      : { next_try_at: nextAt === 0 ? null : isoOf(nextAt) }),
    event: JSON.parse(body) as unknown,
  };
}
