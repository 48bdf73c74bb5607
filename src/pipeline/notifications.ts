// The file notifications.yaml of a workspace: who hears of what, each key once; secrets stand in the environment or in files.
import { existsSync } from "node:fs";
import path from "node:path";
import { RULE_SEVERITIES } from "../core/rule.ts";
import { list, oneOf, record, text, textLike } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";
import { type ReadYaml, readText, yamlReader } from "./yaml.ts";

/** What somebody may hear of. */
export const NOTICES = ["alert", "daily", "drift", "promotion", "rollback", "dead-letter"] as const;
export type Notice = (typeof NOTICES)[number];
export const TARGET_KINDS = ["webhook", "slack", "pagerduty", "email"] as const;

const TARGETS_MAX = 50;
const ROUTES_MAX = 200;
const RECIPIENTS_MAX = 50;
const NAME_PATTERN = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,79}$";
const SECRET = textLike("^(env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:.{1,500})$", "`env:NAME` or `file:PATH`");
/** Where PagerDuty takes events (https://developer.pagerduty.com/docs/send-alert-event). */
const PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue";

const TARGET = section(
  {
    kind: key(oneOf(...TARGET_KINDS), {
      required: true,
      means:
        "`webhook` takes CloudEvents 1.0 as JSON; `slack` an incoming webhook's messages; `pagerduty` Events API v2; `email` goes by SMTP.",
    }),
    url: key(text, {
      means:
        "Where it is, if that is no secret: `https://…` of a webhook, `smtp://host:587` or `smtps://host` of a mail server. PagerDuty's own where nothing is said.",
    }),
    url_from: key(SECRET, {
      means: "Where the address stands if it is a secret, as Slack's is, or a mail server's with user and password.",
    }),
    key_from: key(SECRET, {
      means:
        "PagerDuty: the routing key. Webhook: what the body is signed with, as `X-Sentinel-Signature: sha256=…` (HMAC).",
    }),
    from: key(text, { means: "E-mail: the sender." }),
    to: key(list(text, { to: RECIPIENTS_MAX }), { default: [], means: "E-mail: the recipients." }),
  },
  {
    settle(target, { refuse }) {
      const { kind, url, urlFrom, keyFrom, from, to } = target;
      const bare = "write the address without it, or the whole address as a secret: `url_from: env:NAME`";
      if (url !== undefined && urlFrom !== undefined)
        refuse("url_from", "the address stands there twice", "keep one of url and url_from");
      if (url !== undefined && kind === "slack")
        refuse(
          "url",
          "whoever knows a Slack address may write there",
          "keep it in the environment: `url_from: env:NAME`",
        );
      if (url !== undefined && !URL.canParse(url))
        refuse("url", `${JSON.stringify(url)} is no address`, "https://host/path");
      if (url !== undefined && (new URL(url).username !== "" || new URL(url).password !== ""))
        refuse("url", "the address holds a login", bare);
      if (kind !== "pagerduty" && url === undefined && urlFrom === undefined)
        refuse("kind", `a target of kind ${kind} has no address`, "write url or url_from");
      if (kind === "pagerduty" && keyFrom === undefined)
        refuse("kind", "PagerDuty needs a routing key", "keep it in the environment: `key_from: env:NAME`");
      if (kind === "email" && (from === undefined || to.length === 0))
        refuse("kind", "an e-mail has a sender and a recipient", "write from and to");
      if (kind !== "email" && (from !== undefined || to.length > 0))
        refuse("from", "only an e-mail has from and to", "leave them out");
      return kind === "pagerduty" && url === undefined && urlFrom === undefined
        ? { ...target, url: PAGERDUTY_URL }
        : target;
    },
  },
);

const ROUTE = section({
  to: key(list(text, { from: 1, to: TARGETS_MAX }), { required: true, means: "Names of targets." }),
  events: key(list(oneOf(...NOTICES), { from: 1, to: NOTICES.length }), {
    required: true,
    means:
      "`alert` at once, `daily` a summary of each pipeline's last day, `drift` an alarm of `sentinel monitor`, `promotion` and `rollback` of models, `dead-letter` what another target did not take, and records that a stream could not judge.",
  }),
  severities: key(list(oneOf(...RULE_SEVERITIES), { from: 1, to: RULE_SEVERITIES.length }), {
    default: ["critical"],
    means: "Of alerts: only these.",
  }),
  pipelines: key(list(text, { to: 1000 }), { default: [], means: "Only about these; about all where none is named." }),
});

export const NOTIFICATIONS_FILE = section(
  {
    targets: key(record(TARGET), { default: {}, means: "Receivers by their names." }),
    routes: key(list(ROUTE, { to: ROUTES_MAX }), {
      default: [],
      means: "Who is told of what; every route that fits counts, each target once.",
    }),
    link: key(text, {
      means:
        "Where people reach this Sentinel, such as `https://fraud.example.com`: messages then link to what they tell of.",
    }),
    daily: key(textLike("^([01][0-9]|2[0-3]):[0-5][0-9]$", "`HH:MM`"), {
      default: "06:00",
      means: "When the daily summary is made, in UTC.",
    }),
  },
  {
    settle(file, { refuse }) {
      const names = Object.keys(file.targets);
      if (names.length > TARGETS_MAX) refuse("targets", `there are ${names.length} targets`, `at most ${TARGETS_MAX}`);
      const odd = names.find((name) => !new RegExp(NAME_PATTERN).test(name));
      if (odd !== undefined)
        refuse("targets", `${JSON.stringify(odd)} names no target`, "letters, digits, _ . and -, at most 80");
      const unknown = file.routes.flatMap(({ to }) => to).find((name) => !names.includes(name));
      if (unknown !== undefined)
        refuse(
          "routes",
          `there is no target ${JSON.stringify(unknown)}`,
          `name one of ${names.join(", ") || "the targets"}`,
        );
      return file;
    },
  },
);

export type NotificationsFile = ValueOf<typeof NOTIFICATIONS_FILE.fields>;
export type TargetKeys = ValueOf<typeof TARGET.fields>;

const read = yamlReader(NOTIFICATIONS_FILE, { example: "docs/notifications.md" });

/** Errors: pipeline.invalid, with the line. */
export function parseNotifications(text: string, file: string): ReadYaml<typeof NOTIFICATIONS_FILE.fields> {
  return read(text, file);
}

/** The file in a workspace's folder; null where there is none. Errors: pipeline.invalid, with the line. */
export function readNotifications(workspace: string): NotificationsFile | null {
  const file = path.join(workspace, "notifications.yaml");
  return existsSync(file) ? parseNotifications(readText(file), file).value : null;
}
