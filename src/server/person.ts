// Persons: who an identity provider vouches for, as a key of a role; the highest role that one of their values stands for.
import { SentinelError } from "../core/errors.ts";
import { sha256 } from "../core/hash.ts";
import { type KeyRecord, PERSON_PREFIX } from "../core/key.ts";
import { LOGIN_ROLES, type LoginFile, type LoginRole } from "../pipeline/login.ts";
import type { Identity } from "../ports/login.ts";

const NAME_LENGTH_MAX = 200;
const EMAIL = "email";
const EMAIL_VERIFIED = "email_verified";
/** Values of a role claim that are looked at; a token has room for some hundreds. */
const VALUES_MAX = 10_000;

export type PersonKeys = Pick<LoginFile, "nameClaim" | "roleClaim" | "roles">;

/** The claims that a person is made from; an e-mail address counts together with whether it was verified. */
export function claimsOf({ nameClaim, roleClaim }: Pick<PersonKeys, "nameClaim" | "roleClaim">): readonly string[] {
  return [nameClaim, roleClaim, ...(nameClaim === EMAIL ? [EMAIL_VERIFIED] : [])];
}

/** What a person may do, and under which name. Throws `login.refused` for who has no name or no role. */
export function personOf({ issuer, subject, claims }: Identity, keys: PersonKeys, now: number): KeyRecord {
  const who = `${issuer}\n${subject}`;
  return {
    id: `${PERSON_PREFIX}${sha256(who).slice(0, 16)}`,
    name: nameOf(claims, keys),
    role: roleOf(claims, keys),
    // Of no key that anybody could send.
    hash: sha256(`person\n${who}`),
    createdAt: now,
    createdBy: issuer,
    expiresAt: null,
    revokedAt: null,
    rate: null,
  };
}

/** A claim by its name, else by its place: `realm_access.roles`. */
function claimAt(claims: Readonly<Record<string, unknown>>, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split(".")) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, part)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[part];
  }
  return value;
}

function nameOf(claims: Identity["claims"], { nameClaim }: PersonKeys): string {
  const value = claimAt(claims, nameClaim);
  const refused = (what: string): SentinelError =>
    new SentinelError("login.refused", `the provider ${what}, and nobody works here without a name`, {
      hint: "whoever runs this server sets name_claim of login.yaml to a claim that the provider sends, and scopes so that it does",
    });
  if (typeof value !== "string" || value.trim() === "") throw refused(`sends no claim ${JSON.stringify(nameClaim)}`);
  if (value.length > NAME_LENGTH_MAX || /\p{C}/u.test(value))
    throw refused(`sends a claim ${JSON.stringify(nameClaim)} that is no name`);
  // Who may write any address into their profile would else be anybody.
  if (nameClaim === EMAIL && claims[EMAIL_VERIFIED] !== true) {
    const verb = claims[EMAIL_VERIFIED] === undefined ? "does not say that it has verified" : "has not verified";
    throw refused(`${verb} the e-mail address (claim ${EMAIL_VERIFIED})`);
  }
  return `${PERSON_PREFIX}${value.trim()}`;
}

function roleOf(claims: Identity["claims"], { roleClaim, roles }: PersonKeys): LoginRole {
  const given = claimAt(claims, roleClaim);
  const values = (Array.isArray(given) ? (given as readonly unknown[]) : [given]).slice(0, VALUES_MAX);
  const found = new Set(
    values.map((value) => (typeof value === "string" && Object.hasOwn(roles, value) ? roles[value] : null)),
  );
  const role = LOGIN_ROLES.findLast((one) => found.has(one));
  if (role !== undefined) return role;
  const what = given === undefined ? "does not send" : "sends nothing that counts here in";
  throw new SentinelError(
    "login.refused",
    `the provider ${what} the claim ${JSON.stringify(roleClaim)} of your account`,
    {
      hint: "ask whoever runs this server for a role: login.yaml says which values of that claim have one",
    },
  );
}
