// An identity provider for tests: a real one on loopback, whose tokens a test may sign differently, whose keys may rotate, and which may be away.
import { createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type JWK, Provider } from "oidc-provider";

export const CLIENT = { id: "sentinel", secret: "a secret of the client: with % and +" } as const;

export type Claims = Readonly<Record<string, unknown>>;

export interface TestProvider {
  readonly issuer: string;
  /** What becomes of an ID token before it is signed again; null: the provider's own goes out. */
  change: ((claims: Claims) => Claims) | null;
  /** Another kind of signature: none at all, or by a key that nobody published. */
  signature: "own" | "none" | "foreign";
  /** Other keys from now on. */
  rotate(): void;
  away(): Promise<void>;
  back(): Promise<void>;
  close(): Promise<void>;
}

interface Key {
  readonly jwk: JWK;
  readonly own: KeyObject;
}

let made = 0;
function newKey(): Key {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = { ...privateKey.export({ format: "jwk" }), kid: `key-${++made}`, alg: "ES256", use: "sig" };
  return { jwk: jwk as JWK, own: privateKey };
}

/** `accounts`: claims by login; any password will do. `desk`: where the dashboard is. */
export async function startProvider(accounts: Readonly<Record<string, Claims>>, desk: string): Promise<TestProvider> {
  let key = newKey();
  let listener: RequestListener = () => {};
  const server = createServer((request, response) => listener(request, response));
  await listening(server, 0);
  const { port } = server.address() as AddressInfo;
  // Another site than the desk's 127.0.0.1, as a provider is.
  const issuer = `http://localhost:${port}`;
  const of: TestProvider = {
    issuer,
    change: null,
    signature: "own",
    rotate() {
      key = newKey();
      renew();
    },
    away: () => closed(server),
    back: () => listening(server, port),
    close: () => closed(server),
  };
  const renew = (): void => {
    const provider = new Provider(issuer, {
      clients: [
        {
          client_id: CLIENT.id,
          client_secret: CLIENT.secret,
          redirect_uris: [`${desk}/api/session/oidc/callback`],
          post_logout_redirect_uris: [`${desk}/`],
          id_token_signed_response_alg: "ES256",
        },
      ],
      clientAuthMethods: ["client_secret_basic"],
      enabledJWA: { idTokenSigningAlgValues: ["ES256"] },
      jwks: { keys: [key.jwk] },
      cookies: { keys: ["a key of the provider's cookies"] },
      claims: { openid: ["sub"], profile: ["name", "groups"], email: ["email", "email_verified"] },
      findAccount: (_, id) => {
        const claims = accounts[id];
        return claims === undefined ? undefined : { accountId: id, claims: () => ({ ...claims, sub: id }) };
      },
      ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, IdToken: 600 },
      renderError: (context, out) => {
        context.type = "json";
        context.body = out;
      },
    });
    const plain = provider.callback();
    listener = (request, response) => {
      if (request.url?.startsWith("/token") !== true) return plain(request, response);
      const end = response.end.bind(response);
      response.end = ((body: string | Buffer) => {
        const text = signedAnew(of, key, String(body));
        response.setHeader("content-length", Buffer.byteLength(text));
        return end(text);
      }) as typeof response.end;
      return plain(request, response);
    };
  };
  renew();
  return of;
}

function signedAnew({ change, signature }: TestProvider, key: Key, body: string): string {
  const answer = JSON.parse(body) as { id_token?: string };
  if (answer.id_token === undefined || (change === null && signature === "own")) return body;
  const [, payload] = answer.id_token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as Claims;
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = signature === "none" ? { alg: "none" } : { alg: "ES256", kid: key.jwk.kid };
  const signed = `${part(head)}.${part(change?.(claims) ?? claims)}`;
  const by = signature === "foreign" ? newKey().own : key.own;
  const last =
    signature === "none"
      ? ""
      : createSign("sha256").update(signed).sign({ key: by, dsaEncoding: "ieee-p1363" }, "base64url");
  return JSON.stringify({ ...answer, id_token: `${signed}.${last}` });
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, "localhost", () => resolve()));
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** A browser's cookies, of one host. */
export class Jar {
  private readonly cookies = new Map<string, string>();

  take(headers: Headers): void {
    for (const set of headers.getSetCookie()) {
      const [pair] = set.split(";");
      const at = pair.indexOf("=");
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(set)) this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
  }

  get header(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }
}

/** What a person does at the provider: logs in, agrees. Gives the address that the browser is led back to. */
export async function logInThere(from: string, login: string, jar = new Jar()): Promise<URL> {
  const { origin } = new URL(from);
  let at = new URL(from);
  let body: string | null = null;
  for (let step = 0; step < 12; step++) {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    const response: Response = await fetch(at, {
      method: body === null ? "GET" : "POST",
      headers: { cookie: jar.header, ...(body === null ? {} : form) },
      ...(body === null ? {} : { body }),
      redirect: "manual",
    });
    jar.take(response.headers);
    const text = await response.text();
    body = null;
    const next = response.headers.get("location");
    if (next !== null) {
      at = new URL(next, at);
      if (at.origin !== origin) return at;
      continue;
    }
    const prompt = /name="prompt" value="(\w+)"/.exec(text)?.[1];
    if (prompt === undefined) throw new Error(`the provider answers ${response.status}: ${text.slice(0, 300)}`);
    body = new URLSearchParams({ prompt, login, password: "any" }).toString();
  }
  throw new Error("the provider leads nowhere");
}
