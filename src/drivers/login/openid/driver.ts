// Logins by OpenID Connect: authorization code with PKCE, the ID token checked by the provider's keys of this moment.
import * as openid from "openid-client";
import { SentinelError } from "../../../core/errors.ts";
import type { IdentityProvider } from "../../../ports/login.ts";
import type { Clock } from "../../../ports/ports.ts";
import { loginError } from "./errors.ts";

export interface OpenIdOptions {
  readonly issuer: string;
  readonly clientId: string;
  /** null: a public client. */
  readonly secret: string | null;
  readonly clientAuth: "basic" | "post";
  /** Where the provider sends the browser back to. */
  readonly redirectUrl: string;
  /** And where after a logout. */
  readonly leftUrl: string;
  readonly scopes: readonly string[];
  readonly audiences: readonly string[];
  readonly clockSkewMs: number;
  readonly clock: Clock;
}

/** Of one request to the provider. */
const TIMEOUT_S = 10;
/** What the provider says of itself is asked again after so long. */
const METADATA_MS_MAX = 10 * 60_000;
/** Bytes of an answer: keys and claims are some kilobytes. */
const ANSWER_BYTES_MAX = 1_000_000;

export function createOpenIdProvider(options: OpenIdOptions): IdentityProvider {
  const { issuer, clientId, secret, clientAuth, redirectUrl, leftUrl, scopes, clock } = options;
  const auth =
    secret === null
      ? openid.None()
      : clientAuth === "basic"
        ? openid.ClientSecretBasic(secret)
        : openid.ClientSecretPost(secret);
  let known: { readonly at: number; readonly metadata: Promise<openid.ServerMetadata> } | null = null;
  const discover = async (): Promise<openid.ServerMetadata> => {
    const execute = issuer.startsWith("http:") ? [openid.allowInsecureRequests] : [];
    const found = await openid.discovery(new URL(issuer), clientId, undefined, auth, {
      execute,
      timeout: TIMEOUT_S,
      [openid.customFetch]: boundedFetch,
    });
    return found.serverMetadata();
  };
  /** One question at a time, whoever wants to log in; an answer that failed is no answer. */
  const metadataOf = (): Promise<openid.ServerMetadata> => {
    const at = clock.now();
    if (known !== null && Math.abs(at - known.at) < METADATA_MS_MAX) return known.metadata;
    const asked = { at, metadata: discover() };
    known = asked;
    asked.metadata.catch(() => {
      if (known === asked) known = null;
    });
    return asked.metadata;
  };
  /** Each login has its own, so that a provider's new keys count at once. */
  const configured = async (): Promise<openid.Configuration> => {
    const metadata = await metadataOf();
    const client = {
      [openid.clockSkew]: Math.round((clock.now() - Date.now()) / 1000),
      [openid.clockTolerance]: options.clockSkewMs / 1000,
    };
    const configuration = new openid.Configuration(metadata, clientId, client, auth);
    configuration.timeout = TIMEOUT_S;
    configuration[openid.customFetch] = boundedFetch;
    // By TLS alone whoever stands at the token's address could write one.
    openid.enableNonRepudiationChecks(configuration);
    if (issuer.startsWith("http:")) openid.allowInsecureRequests(configuration);
    return configuration;
  };
  const asking = async <T>(ask: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      throw loginError(error, issuer);
    }
  };
  return {
    begin: ({ state, nonce, verifier }) =>
      asking(async () => {
        const parameters = {
          redirect_uri: redirectUrl,
          scope: scopes.join(" "),
          state,
          nonce,
          code_challenge: await openid.calculatePKCECodeChallenge(verifier),
          code_challenge_method: "S256",
        };
        return openid.buildAuthorizationUrl(await configured(), parameters).href;
      }),
    finish: (query, { checks, wanted }) =>
      asking(async () => {
        const configuration = await configured();
        // The address by which the provider knows us, whatever the request's Host header says.
        const tokens = await openid.authorizationCodeGrant(configuration, new URL(`${redirectUrl}${query}`), {
          pkceCodeVerifier: checks.verifier,
          expectedState: checks.state,
          expectedNonce: checks.nonce,
          idTokenExpected: true,
        });
        const own = tokens.claims()!;
        checkAudience(own.aud, options);
        const isHere = (name: string): boolean => Object.hasOwn(own, name.split(".")[0]) || Object.hasOwn(own, name);
        const asks = configuration.serverMetadata().userinfo_endpoint !== undefined && !wanted.every(isHere);
        // Many providers say what a scope asks for only there. What is signed comes first.
        const more = asks ? await openid.fetchUserInfo(configuration, tokens.access_token, own.sub) : {};
        return {
          issuer: own.iss,
          subject: own.sub,
          claims: { ...more, ...own },
          idToken: tokens.id_token!,
        };
      }),
    async leave(idToken) {
      try {
        const configuration = await configured();
        if (configuration.serverMetadata().end_session_endpoint === undefined) return null;
        return openid.buildEndSessionUrl(configuration, {
          post_logout_redirect_uri: leftUrl,
          ...(idToken === null ? {} : { id_token_hint: idToken }),
        }).href;
      } catch {
        // The session here has ended; that is what a logout promises.
        return null;
      }
    },
  };
}

/** OpenID Connect Core 1.0, 3.1.3.7: a token that is for others too counts only where these are trusted. */
function checkAudience(
  aud: string | readonly string[],
  { clientId, audiences }: Pick<OpenIdOptions, "clientId" | "audiences">,
): void {
  const odd = [aud].flat().find((one) => one !== clientId && !audiences.includes(one));
  if (odd === undefined) return;
  throw new SentinelError("login.invalid", `the ID token is for ${JSON.stringify(odd.slice(0, 200))} too`, {
    hint: "if that one may have it, name it in `audiences` of login.yaml",
  });
}

/** `fetch` with an end: a provider that sends for ever is left. */
async function boundedFetch(url: string, init: object): Promise<Response> {
  const response = await fetch(url, init);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the provider's answer has more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  const { status, headers } = response;
  return new Response(parts.length === 0 ? null : Buffer.concat(parts), { status, headers });
}
