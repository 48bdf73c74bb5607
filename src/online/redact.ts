// Redaction: fields that the log must not hold are dropped or hashed before anything of a transaction is written.
import { createHmac } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import { emptyFields, type FieldValue } from "../core/transaction.ts";
import { columnsOfPlan, type FeaturePlan } from "../features/plan.ts";
import type { LogPolicy } from "../pipeline/pipeline.ts";
import type { Content } from "./duplicates.ts";

/** The content as the log may hold it; the same object where nothing is redacted. */
export type Redact = (content: Content) => Content;

/** Hex digits of a hash: 128 bits, so that two values never meet. */
const HASH_DIGITS = 32;

/** Errors: config.invalid when values are to be hashed and there is no key. */
export function redactor(policy: LogPolicy["redact"], key: string | null): Redact {
  const { fields: names, how } = policy;
  if (names.length === 0) return (content) => content;
  if (how === "hash" && key === null) {
    throw new SentinelError("config.invalid", "log.redact says `how: hash`, and there is no key to hash with", {
      hint: "set SENTINEL_REDACT_KEY to a long random secret (`openssl rand -hex 24`) and keep it; or say `how: drop`",
    });
  }
  const hide = (value: unknown): string => hidden(value, key!);
  return (content) => {
    if (!names.some((name) => name in content.fields || Object.hasOwn(content.extra, name))) return content;
    const fields: Record<string, FieldValue> = Object.assign(emptyFields(), content.fields);
    const extra: Record<string, unknown> = Object.assign(Object.create(null), content.extra);
    for (const name of names) {
      for (const part of [fields, extra] as Record<string, unknown>[]) {
        if (!Object.hasOwn(part, name)) continue;
        if (how === "drop") delete part[name];
        else if (part[name] !== null) part[name] = hide(part[name]);
      }
    }
    return { fields, extra };
  };
}

function hidden(value: unknown, key: string): string {
  const hash = createHmac("sha256", key)
    .update(`${typeof value}:${JSON.stringify(value)}`)
    .digest("hex");
  return `hmac:${hash.slice(0, HASH_DIGITS)}`;
}

/** How `how: hash` writes a value that came as a text, or as a number where it is one. */
export function hiddenSpellings(value: string, key: string): readonly string[] {
  const number = Number(value);
  return [hidden(value, key), ...(String(number) === value ? [hidden(number, key)] : [])];
}

/** Throws `pipeline.invalid` when a feature reads what the log may not hold: a replay of the log would find other values. */
export function checkRedaction(policy: LogPolicy["redact"], plan: FeaturePlan): void {
  const needed = columnsOfPlan(plan).filter((column) => policy.fields.includes(column));
  if (needed.length === 0) return;
  throw new SentinelError(
    "pipeline.invalid",
    `log.redact names ${needed.join(", ")}, which features of ${plan.spec.name} read: replay, labels and a restart need the values that were judged`,
    { hint: "take them out of log.redact.fields, or out of the features; clients may send pseudonyms instead" },
  );
}
