// The file login.yaml of a workspace: the identity provider that people log in by, each key once; its secret stands in the environment or in a file.
import { existsSync } from "node:fs";
import path from "node:path";
import { isLoopback } from "../core/loopback.ts";
import { duration, list, oneOf, record, text, textLike } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";
import { type ReadYaml, readText, yamlReader } from "./yaml.ts";

/** Roles of people; those of programs log in nowhere. */
export const LOGIN_ROLES = ["viewer", "analyst", "admin"] as const;
export type LoginRole = (typeof LOGIN_ROLES)[number];

const ROLES_MAX = 200;
const SCOPES_MAX = 20;
const AUDIENCES_MAX = 20;
const SECRET = textLike("^(env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:.{1,500})$", "`env:NAME` or `file:PATH`");
/** RFC 6749, 3.3, without the signs that a log would have to escape. */
const SCOPE = textLike("^[A-Za-z0-9:/._-]{1,200}$", "a scope");

export const LOGIN_FILE = section(
  {
    issuer: key(text, {
      required: true,
      means:
        "The provider, as it names itself in what it signs: `https://id.example.com/realms/fraud`. What is at `/.well-known/openid-configuration` below says the rest.",
    }),
    client_id: key(text, { required: true, means: "Who Sentinel is there." }),
    client_secret_from: key(SECRET, {
      means: "Where the client's secret stands. Absent: the client has none, and PKCE alone protects the code.",
    }),
    client_auth: key(oneOf("basic", "post"), {
      default: "basic",
      means: "How the secret is shown: in a header (`client_secret_basic`) or in the body (`client_secret_post`).",
    }),
    url: key(text, {
      required: true,
      means:
        "Where people's browsers reach this Sentinel: `https://fraud.example.com`. The provider must allow `/api/session/oidc/callback` below it as redirect, and itself with a slash after a logout.",
    }),
    title: key(text, { default: "Company account", means: "What the button of the login page says." }),
    scopes: key(list(SCOPE, { from: 1, to: SCOPES_MAX }), {
      default: ["openid", "profile", "email"],
      means: "What is asked for; `openid` is one of it.",
    }),
    name_claim: key(text, {
      default: "sub",
      means:
        "The claim that names a person in cases, journal and audit, with `oidc:` before it. It must be one that nobody can choose for themselves: four eyes are two names. An `email` counts only where the provider says `email_verified: true`; one that never says so needs another claim.",
    }),
    role_claim: key(text, {
      default: "groups",
      means:
        "The claim that `roles` are read from: a text or a list of texts, of the ID token or else of the provider's user info; a `.` leads inside, as in `realm_access.roles`.",
    }),
    roles: key(record(oneOf(...LOGIN_ROLES)), {
      required: true,
      means:
        "What each value of that claim makes somebody here; of several the highest counts. Who has none is refused.",
    }),
    audiences: key(list(text, { to: AUDIENCES_MAX }), {
      default: [],
      means: "What an ID token may be for besides this client. One that is for anybody else too is refused.",
    }),
    clock_skew: key(duration({ to: "5m" }), {
      default: "30s",
      means: "How far the provider's clock and this machine's may be apart.",
    }),
  },
  {
    settle(file, { refuse }) {
      const { issuer, url, scopes, roles } = file;
      for (const [name, at] of [["issuer", issuer] as const, ["url", url] as const]) {
        const fault = addressFault(at);
        if (fault !== null) refuse(name, fault, `https://${name === "issuer" ? "id" : "fraud"}.example.com`);
      }
      const { pathname } = new URL(url);
      if (pathname !== "/")
        refuse("url", `${JSON.stringify(url)} has a path`, "the dashboard is at / of its host: leave the path out");
      if (!scopes.includes("openid")) refuse("scopes", "openid is not among them", "scopes: [openid, profile, email]");
      const values = Object.keys(roles);
      if (values.length === 0 || values.length > ROLES_MAX)
        refuse("roles", `there are ${values.length}`, `write 1 to ${ROLES_MAX}: \`roles: { fraud-team: analyst }\``);
      return { ...file, url: new URL(url).origin };
    },
  },
);

export type LoginFile = ValueOf<typeof LOGIN_FILE.fields>;

const read = yamlReader(LOGIN_FILE, { example: "docs/dashboard.md" });

/** Errors: pipeline.invalid, with the line. */
export function parseLogin(text: string, file: string): ReadYaml<typeof LOGIN_FILE.fields> {
  return read(text, file);
}

/** The file in a workspace's folder; null where there is none. Errors: pipeline.invalid, with the line. */
export function readLogin(workspace: string): LoginFile | null {
  const file = path.join(workspace, "login.yaml");
  return existsSync(file) ? parseLogin(readText(file), file).value : null;
}

/** Why codes and tokens must not go to an address; null where they may. */
function addressFault(at: string): string | null {
  const url = URL.canParse(at) ? new URL(at) : null;
  const shown = JSON.stringify(at);
  if (url === null || !/^https?:$/.test(url.protocol)) return `${shown} is no http address`;
  if (url.username !== "" || url.password !== "") return "the address holds a login";
  if (url.search !== "" || url.hash !== "") return `${shown} has a ? or # part`;
  if (url.protocol === "http:" && !isLoopback(url.hostname.replace(/^\[|\]$/g, "")))
    return `${shown} is not https, and codes and tokens go there`;
  return null;
}
