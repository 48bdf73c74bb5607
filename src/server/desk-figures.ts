// Figures of the desk: what the store says of open cases and waiting messages, looked at now and again, for whoever measures.
import { Rounds } from "../lifecycle/rounds.ts";
import { CASE_DAYS_MAX } from "./measures.ts";
import type { PlatformParts, Server } from "./parts.ts";

/** Prometheus asks about as often. */
const LOOK_MS = 15_000;

/** Rounds that look; while the store does not answer the last figures stay. */
export function deskFigures(
  { store: open, notices }: Pick<PlatformParts, "store" | "notices">,
  of: Pick<Server, "tenant" | "pipelines" | "clock" | "measures" | "measuresOf">,
  pauseMs = LOOK_MS,
): Rounds {
  const { tenant, pipelines, clock, measures, measuresOf } = of;
  const outbox = measures.outboxOf(tenant);
  for (const { name } of notices?.targets ?? []) outbox.begin(name);
  return new Rounds(async () => {
    try {
      const store = await open();
      const at = clock.now();
      const names = new Map<number, string>();
      for (const { name } of pipelines.all()) {
        const record = await store.pipelines.findBySlug(name);
        if (record !== null) names.set(record.id, name);
      }
      const asked = { pipelines: [...names.keys()], at, since: at, daysMax: CASE_DAYS_MAX };
      const { open: cases } = await store.cases.summary(asked);
      for (const [id, name] of names) measuresOf(name).casesOpen(cases.filter(({ pipeline }) => pipeline === id));
      if (notices === null) return;
      const states = new Map((await store.outbox.states()).map((one) => [one.target, one]));
      for (const { name } of notices.targets) {
        const { waiting = 0, oldestAt = null } = states.get(name) ?? {};
        outbox.waits(name, waiting, oldestAt === null ? 0 : Math.max(0, at - oldestAt));
      }
    } catch {
      // Whoever needs the store says that it does not answer; figures are no reason to say it again.
    }
  }, pauseMs);
}
