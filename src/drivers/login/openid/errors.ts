// What goes wrong with a login at a provider: it is away, it says no, or what it sent does not hold.
import * as openid from "openid-client";
import { messageOf, SentinelError } from "../../../core/errors.ts";

/** OAuth errors by which a provider says that it cannot now, and not that it will not (RFC 6749, 4.1.2.1). */
const AWAY: ReadonlySet<string> = new Set(["server_error", "temporarily_unavailable"]);
/** Of a token's request: what somebody did with the code; all others are about this client (RFC 6749, 5.2). */
const OF_CODE = "invalid_grant";
const WORDS_MAX = 300;
const KEYS_STILL = "log in with a key meanwhile";

/** Codes and tokens are never in it. */
export function loginError(error: unknown, issuer: string): SentinelError {
  if (error instanceof SentinelError) return error;
  const { host } = new URL(issuer);
  if (error instanceof openid.AuthorizationResponseError) {
    return AWAY.has(error.error)
      ? away(host, `says ${wordOf(error.error)}`, error)
      : new SentinelError("login.refused", `${host} did not log you in: ${wordOf(error.error)}`, {
          hint: "begin again; if it stays so, whoever runs that provider knows why",
        });
  }
  if (error instanceof openid.ResponseBodyError) {
    if (AWAY.has(error.error) || error.status >= 500) return away(host, `answers ${error.status}`, error);
    if (error.error === OF_CODE) {
      return invalid(`${host} does not take the code of this login: it was used, or is too old`, error);
    }
    return stranger(host, wordOf(error.error), error);
  }
  if (error instanceof openid.WWWAuthenticateChallengeError) return stranger(host, `${error.status}`, error);
  if (isAway(error)) return away(host, "does not answer", error);
  if (error instanceof openid.ClientError) {
    if (error.code === "OAUTH_RESPONSE_IS_NOT_CONFORM" || error.code === "OAUTH_RESPONSE_IS_NOT_JSON")
      return away(host, "answers what no provider answers", error);
    return invalid(`what came back from ${host} does not hold: ${textOf(error)}`, error);
  }
  return away(host, `cannot be asked: ${textOf(error)}`, error);
}

function invalid(what: string, cause: unknown): SentinelError {
  return new SentinelError("login.invalid", what, { hint: "begin again at the login page", cause });
}

function away(host: string, what: string, cause: unknown): SentinelError {
  return new SentinelError("login.unreachable", `the identity provider ${host} ${what}`, {
    hint: `try again in a moment, or ${KEYS_STILL}`,
    cause,
  });
}

function stranger(host: string, word: string, cause: unknown): SentinelError {
  return new SentinelError("login.unreachable", `${host} refuses this server: ${word}`, {
    hint: `whoever runs this server compares client_id, client_secret_from and client_auth of login.yaml with the provider's; ${KEYS_STILL}`,
    cause,
  });
}

/** fetch says TypeError where it reached nobody, and these names where it waited too long. */
function isAway(error: unknown): boolean {
  const cause = error instanceof openid.ClientError ? error.cause : error;
  if (!(cause instanceof Error)) return false;
  return ["TimeoutError", "AbortError"].includes(cause.name) || ["fetch failed", "terminated"].includes(cause.message);
}

/** The library's own sentence, with the one below it, which says what of it. */
function textOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `${messageOf(error)}${cause}`.slice(0, WORDS_MAX);
}

/** An error's name, as far as it is one: a browser brought it. */
function wordOf(error: string): string {
  return /^[\x20-\x7e]{1,100}$/.test(error) ? error : "an error without a name";
}
