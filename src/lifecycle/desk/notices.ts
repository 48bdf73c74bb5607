// Who hears of what: messages for the outbox, one for each target of a happening.
import { type Happening, toldTo } from "../../cases/notices.ts";
import type { CloudEvent } from "../../core/cloud-event.ts";
import type { NotificationsFile } from "../../pipeline/notifications.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import { personalMask } from "../../pipeline/privacy.ts";
import type { NewMessage, Target } from "../../ports/outbox.ts";
import type { Alert } from "../../ports/store.ts";
import { alertEvent } from "./events.ts";

/** Who hears of what, and what sends it. */
export interface Notices {
  readonly file: NotificationsFile;
  readonly targets: readonly Target[];
}

/** A message for each target that hears of a happening. */
export function messagesOf(
  { file }: Pick<Notices, "file">,
  event: CloudEvent,
  happening: Happening,
): readonly NewMessage[] {
  const { notice, pipeline } = happening;
  return toldTo(file, happening).map((target) => ({
    target,
    key: event.id,
    notice,
    pipeline,
    body: JSON.stringify(event),
  }));
}

/** What receivers hear of an alert, in the transaction that makes it part of a case; personal values stay here. */
export function alertMessages(
  notices: Notices | null,
  alert: Alert,
  pipeline: Pick<Pipeline, "name" | "privacy" | "canonical" | "columns">,
): readonly NewMessage[] {
  if (notices === null) return [];
  const { name } = pipeline;
  const happening = { notice: "alert", severity: alert.severity, pipeline: name } as const;
  if (toldTo(notices.file, happening).length === 0) return [];
  const shown = personalMask([pipeline]).document(alert);
  return messagesOf(notices, alertEvent(shown, { pipeline: name, link: notices.file.link ?? null }), happening);
}
