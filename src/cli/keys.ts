// `sentinel keys add|list|revoke`: service keys of the HTTP server.
import { randomBytes } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import { KEY_PIPELINES_MAX, OPERATOR, RATE_MAX, type RateLimit, ROLES, type Role } from "../core/key.ts";
import { DEFAULT_TENANT } from "../core/tenant.ts";
import { addKey, type KeyShown, listKeys, revokeKey } from "../lifecycle/keys.ts";
import { everyName } from "../pipeline/pipeline.ts";
import { choiceOption, durationOption, optionalInteger, textOption } from "./options.ts";
import type { Verb, VerbContext, VerbInput, VerbOptions, VerbResult } from "./verb.ts";

const NAME_LENGTH_MAX = 100;

export const verb: Verb = {
  args: "<what> [id]",
  options: [
    [
      "--role <role>",
      "with add: predict or label (programs), viewer or analyst (people), admin; operator (makes tenants)",
    ],
    ["--name <text>", "with add: who uses it"],
    ["--only <names>", "with add: the pipelines it is for, separated by commas (default: all)"],
    ["--valid <duration>", "with add: how long, such as 90d (default: until it is revoked)"],
    ["--rate <n>", "with add: requests a second, each item of a batch counted (default: no limit)"],
    ["--burst <n>", "with add: how many at once (default: as --rate)"],
  ],
  run(context, input) {
    const [what] = input.args;
    if (what === "add") return add(context, input);
    if (what === "list") return list(context);
    if (what === "revoke") return revoke(context, input);
    throw new SentinelError("cli.usage", `keys ${JSON.stringify(what)} is none of add, list, revoke`, {
      hint: "see `sentinel keys --help`",
    });
  },
};

async function add(context: VerbContext, { options }: VerbInput): Promise<VerbResult> {
  const role = choiceOption<Role>(options, "role", [...ROLES, OPERATOR]);
  if (role === undefined) {
    throw new SentinelError("cli.usage", "keys add needs --role", {
      hint: `--role ${ROLES.join(", --role ")}`,
    });
  }
  if (role === OPERATOR && context.config.tenant !== DEFAULT_TENANT) {
    throw new SentinelError("cli.usage", "an operator's key belongs to no other tenant than default", {
      hint: "leave --tenant out",
    });
  }
  const name = textOption(options, "name") ?? role;
  if (name.length === 0 || name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name)) {
    throw new SentinelError("cli.usage", `--name is no text of 1 to ${NAME_LENGTH_MAX} characters`, {
      hint: "name who uses the key: --name checkout",
    });
  }
  const valid = durationOption(options, "valid", 0);
  const made = await addKey(context.ports(), {
    role,
    name,
    actor: context.config.actor,
    validMs: valid === 0 ? null : valid,
    rate: rateOf(options),
    pipelines: pipelinesOf(context, options),
    random: randomBytes,
  });
  context.output.line(`key ${made.record.id} for ${role} (${name}); it is shown this once:\n\n  ${made.key}\n`);
  context.output.line("  a running server takes it within a second: Authorization: Bearer KEY");
  return { yes: true, json: made };
}

/** A misspelt name would make a key that opens nothing. */
function pipelinesOf(context: VerbContext, options: VerbOptions): readonly string[] | null {
  const text = textOption(options, "only");
  if (text === undefined) return null;
  const names = [...new Set(text.split(",").map((name) => name.trim()))].filter((name) => name !== "");
  const known = everyName(context.config.workspace);
  const unknown = names.find((name) => !known.includes(name));
  if (names.length > 0 && names.length <= KEY_PIPELINES_MAX && unknown === undefined) return names;
  throw new SentinelError(
    "cli.usage",
    `--only ${text} names ${unknown === undefined ? "no pipelines" : `${unknown}, which is no pipeline here`}`,
    {
      hint: `this workspace has: ${known.join(", ")}`,
    },
  );
}

function rateOf(options: VerbOptions): RateLimit | null {
  const range = { low: 1, high: RATE_MAX };
  const perSecond = optionalInteger(options, "rate", range);
  const burst = optionalInteger(options, "burst", range);
  if (perSecond !== undefined) return { perSecond, burst: burst ?? perSecond };
  if (burst === undefined) return null;
  throw new SentinelError("cli.usage", "--burst needs --rate", { hint: "--rate 100 --burst 200" });
}

async function list(context: VerbContext): Promise<VerbResult> {
  const keys = await listKeys(context.ports());
  const day = (ms: number | null): string => (ms === null ? "–" : new Date(ms).toISOString().slice(0, 10));
  const row = (key: KeyShown): string[] => [
    key.id,
    key.role,
    key.name,
    key.state,
    day(key.createdAt),
    day(key.expiresAt),
    key.rate === null ? "–" : `${key.rate.perSecond}/s, ${key.rate.burst} at once`,
    key.pipelines?.join(", ") ?? "all",
    key.createdBy,
  ];
  if (keys.length === 0) context.output.line("no keys: on a loopback address the server asks nobody for one");
  else
    context.output.table([
      ["id", "role", "name", "state", "made", "until", "rate", "pipelines", "by"],
      ...keys.map(row),
    ]);
  return { yes: true, json: { keys } };
}

async function revoke(context: VerbContext, { args }: VerbInput): Promise<VerbResult> {
  const [, id] = args;
  if (id === undefined) {
    throw new SentinelError("cli.usage", "keys revoke needs an id", { hint: "`sentinel keys list` shows the ids" });
  }
  const key = await revokeKey(context.ports(), id);
  context.output.line(
    `key ${key.id} (${key.role}, ${key.name}) is revoked; a running server refuses it within a second`,
  );
  return { yes: true, json: { key } };
}
