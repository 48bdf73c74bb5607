// The port of logins by an identity provider: where a browser is sent, and who comes back.

/** What ties one login to one browser: unguessable texts that only it and this server know. */
export interface LoginChecks {
  readonly state: string;
  readonly nonce: string;
  /** PKCE (RFC 7636): 43 to 128 unreserved characters. */
  readonly verifier: string;
}

/** Whom the provider vouches for. */
export interface Identity {
  /** As the provider names itself. */
  readonly issuer: string;
  /** Who it is, as the provider names them for ever. */
  readonly subject: string;
  /** What else the provider says: of the ID token, and of its user info where one of `wanted` was not in there. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** What a logout there wants to see. */
  readonly idToken: string;
}

export interface IdentityProvider {
  /** Where a browser goes to log in. Errors: login.unreachable. */
  begin(checks: LoginChecks): Promise<string>;
  /**
   * Who comes back with this query, whose `state` the caller has compared with the browser's own. `wanted`: names of claims. Errors:
   * login.unreachable; login.refused, where the provider says no; login.invalid, where what comes back does not hold.
   */
  finish(query: string, on: { readonly checks: LoginChecks; readonly wanted: readonly string[] }): Promise<Identity>;
  /** Where a browser goes to log out there as well; null where the provider has no such place, or does not answer. */
  leave(idToken: string | null): Promise<string | null>;
}
