// Targets: receivers by kind, each a function from one message to what became of it.
import { createHmac } from "node:crypto";
import { CLOUD_EVENT_MEDIA_TYPE, type CloudEvent, receiptOf } from "../../core/cloud-event.ts";
import { messageOf } from "../../core/errors.ts";
import type { TargetKeys } from "../../pipeline/notifications.ts";
import type { Target } from "../../ports/outbox.ts";
import { postText } from "./post.ts";
import { wordsOf } from "./words.ts";

export interface TargetOptions {
  readonly name: string;
  readonly keys: TargetKeys;
  /** Reads what `env:NAME` or `file:PATH` names. Throws config.invalid. */
  readonly secret: (place: string) => string;
  readonly timeoutMs?: number;
}

type Message = Parameters<Target["send"]>[0];

/** Secrets are read at each message: one that was replaced counts at once. */
export function createTarget(options: TargetOptions): Target {
  const { name, keys } = options;
  const send = { webhook: toWebhook, slack: toSlack, pagerduty: toPagerDuty, email: toMail }[keys.kind];
  return {
    name,
    async send(message) {
      try {
        return await send(options, message);
      } catch (error) {
        // A secret that is missing may come; whatever else it is, a later try does no harm.
        return { outcome: "again", cause: messageOf(error) };
      }
    },
  };
}

type Sent = Awaited<ReturnType<Target["send"]>>;

function addressOf({ keys, secret }: TargetOptions): string {
  return keys.url ?? secret(keys.urlFrom ?? "");
}

async function toWebhook(options: TargetOptions, { key, body }: Message): Promise<Sent> {
  const { keys, secret } = options;
  const signed: Record<string, string> =
    keys.keyFrom === undefined
      ? {}
      : { "x-sentinel-signature": `sha256=${createHmac("sha256", secret(keys.keyFrom)).update(body).digest("hex")}` };
  return posted(options, { body, type: CLOUD_EVENT_MEDIA_TYPE, headers: { "idempotency-key": key, ...signed } });
}

async function toSlack(options: TargetOptions, { body }: Message): Promise<Sent> {
  const { title, lines, link } = wordsOf(JSON.parse(body) as CloudEvent);
  // What stands in a merchant's name must not become a link or a call to everybody (https://api.slack.com/reference/surfaces/formatting).
  const safe = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const text = [
    `*${safe(title).replaceAll("*", "∗")}*`,
    ...lines.map(safe),
    ...(link === null ? [] : [`<${link}>`]),
  ].join("\n");
  return posted(options, { body: JSON.stringify({ text }), type: "application/json" });
}

/** https://developer.pagerduty.com/docs/send-alert-event: the same happening is one incident. */
async function toPagerDuty(options: TargetOptions, { key, body }: Message): Promise<Sent> {
  const event = JSON.parse(body) as CloudEvent;
  const { title, lines, link, severity } = wordsOf(event);
  const sent = {
    routing_key: options.secret(options.keys.keyFrom ?? ""),
    event_action: "trigger",
    dedup_key: key.slice(0, 255),
    payload: {
      summary: title.slice(0, 1024),
      source: event.source,
      severity,
      timestamp: event.time,
      class: event.type,
      custom_details: { text: lines, event: event.data },
    },
    ...(link === null ? {} : { links: [{ href: link, text: "Open" }] }),
  };
  return posted(options, { body: JSON.stringify(sent), type: "application/json" });
}

async function posted(
  options: TargetOptions,
  given: { readonly body: string; readonly type: string; readonly headers?: Readonly<Record<string, string>> },
): Promise<Sent> {
  const { timeoutMs } = options;
  const { status, words } = await postText(addressOf(options), {
    ...given,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const receipt = receiptOf(status);
  if (receipt === "taken") return { outcome: "taken" };
  return { outcome: receipt, cause: `the receiver answered ${status}${words === "" ? "" : `: ${words}`}` };
}

async function toMail(options: TargetOptions, message: Message): Promise<Sent> {
  // Loaded when the first mail goes: most servers send none.
  const { sendMail } = await import("./mail.ts");
  const { from = "", to } = options.keys;
  const words = wordsOf(JSON.parse(message.body) as CloudEvent);
  return sendMail({ server: addressOf(options), from, to, words, key: message.key, timeoutMs: options.timeoutMs });
}
