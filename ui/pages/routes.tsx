// The API: every route of /openapi.json, with an example that can be changed and sent; the answer stands below.
import { useState } from "preact/hooks";
import { get } from "../api.ts";
import { seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Empty, Panel, Shown, Tag } from "../parts/basic.tsx";
import { setQuery, usePlace } from "../route.ts";

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly example?: unknown;
  readonly format?: string;
  readonly minimum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly minItems?: number;
  readonly anyOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

interface Operation {
  readonly summary?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly description?: string;
    readonly schema?: Schema;
  }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

interface Route {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

const TONES = { GET: "blue", POST: "green", PATCH: "amber", DELETE: "red" } as const;
const SHOWN_MAX = 20_000;
const DEPTH_MAX = 6;

export function ApiRoutes() {
  const { query } = usePlace();
  const document = useLoaded("openapi", (signal) => get("GET /openapi.json", { signal }));
  return (
    <Shown of={document}>
      {(value) => {
        const contract = value as unknown as Contract;
        const routes = Object.entries(contract.paths).flatMap(([path, methods]) =>
          Object.entries(methods).map(
            ([method, operation]): Route => ({ method: method.toUpperCase(), path, operation }),
          ),
        );
        const like = (query.q ?? "").toLowerCase();
        const found = routes.filter(({ method, path, operation }) =>
          `${method} ${path} ${operation.summary ?? ""}`.toLowerCase().includes(like),
        );
        const chosen = routes.find(({ method, path }) => `${method} ${path}` === query.route) ?? null;
        return (
          <div class="grid">
            <Panel title="Routes" wide="w5" hint={`${found.length} of ${routes.length}`} json="/openapi.json" flush>
              <div class="body">
                <input
                  type="search"
                  class="input"
                  placeholder="Search routes"
                  aria-label="Search routes"
                  value={query.q ?? ""}
                  onInput={(event) => setQuery({ q: event.currentTarget.value })}
                />
              </div>
              <ul class="routes">
                {found.map((one) => {
                  const name = `${one.method} ${one.path}`;
                  return (
                    <li key={name}>
                      <button
                        type="button"
                        aria-pressed={name === query.route}
                        onClick={() => setQuery({ route: name })}
                      >
                        <Tag word={one.method} tone={TONES[one.method as keyof typeof TONES] ?? ""} />
                        <code>{one.path}</code>
                        <span class="faint">{one.operation.summary}</span>
                      </button>
                    </li>
                  );
                })}
              </ul>
            </Panel>
            <div class="w7">
              {chosen === null ? (
                <Panel title="Try it">
                  <Empty title="Choose a route">
                    <span>Its parameters and an example of its body appear here, and can be sent as you are.</span>
                  </Empty>
                </Panel>
              ) : (
                <Try key={query.route} route={chosen} contract={contract} />
              )}
            </div>
          </div>
        );
      }}
    </Shown>
  );
}

interface Answered {
  readonly status: number;
  readonly ms: number;
  readonly type: string;
  readonly text: string;
}

function Try({ route, contract }: { readonly route: Route; readonly contract: Contract }) {
  const { method, path, operation } = route;
  const types = Object.entries(operation.requestBody?.content ?? {});
  const [type, schema] = types.find(([name]) => name === "application/json") ?? types[0] ?? ["", null];
  const [values, setValues] = useState<Readonly<Record<string, string>>>({});
  const [body, setBody] = useState(() =>
    schema === null ? "" : JSON.stringify(exampleOf(schema.schema, contract), null, 2),
  );
  const [answer, setAnswer] = useState<Answered | null>(null);
  const [busy, setBusy] = useState(false);
  const parameters = operation.parameters ?? [];
  const address = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
  const search = new URLSearchParams(
    parameters
      .filter(({ name, in: place }) => place === "query" && (values[name] ?? "") !== "")
      .map(({ name }) => [name, values[name]]),
  ).toString();
  const url = search === "" ? address : `${address}?${search}`;
  const isStream = path === "/api/live";
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const begun = performance.now();
    const headers: Record<string, string> = { "x-sentinel-desk": "1" };
    if (schema !== null) headers["content-type"] = type;
    if (values["If-Match"] !== undefined && values["If-Match"] !== "") headers["if-match"] = values["If-Match"];
    try {
      const response = await fetch(url, { method, headers, ...(schema === null ? {} : { body }) });
      const text = await response.text();
      setAnswer({
        status: response.status,
        ms: performance.now() - begun,
        type: response.headers.get("content-type") ?? "",
        text: prettyOf(text),
      });
    } catch (error) {
      setAnswer({ status: 0, ms: performance.now() - begun, type: "", text: String(error) });
    }
    setBusy(false);
  };
  return (
    <Panel title={`${method} ${path}`} hint={operation.summary}>
      <form class="stack" onSubmit={(event) => void send(event)}>
        {parameters.map(({ name, in: place, description }) => (
          <label key={name} class="field">
            <span>
              <code>{name}</code> {place === "path" ? "in the path" : (description ?? "")}
            </span>
            <input
              class="input mono"
              required={place === "path"}
              value={values[name] ?? ""}
              onInput={(event) => setValues({ ...values, [name]: event.currentTarget.value })}
            />
          </label>
        ))}
        {method === "PATCH" || method === "DELETE" || path.includes("/cases/{case}/") ? (
          <label class="field">
            <span>
              <code>If-Match</code> the ETag that was read, where the route asks for it
            </span>
            <input
              class="input mono"
              value={values["If-Match"] ?? ""}
              onInput={(event) => setValues({ ...values, "If-Match": event.currentTarget.value })}
            />
          </label>
        ) : null}
        {schema === null ? null : (
          <label class="field">
            <span>
              Body, <code>{type}</code>
            </span>
            <textarea
              class="area mono"
              rows={Math.min(18, body.split("\n").length + 1)}
              spellcheck={false}
              value={body}
              onInput={(event) => setBody(event.currentTarget.value)}
            />
          </label>
        )}
        <div class="row even">
          <code class="break">
            {method} {seen(url, 300)}
          </code>
          <button type="submit" class="button main" disabled={busy || isStream}>
            {isStream ? "A stream: see the overview" : "Send"}
          </button>
        </div>
      </form>
      {answer === null ? null : (
        <section aria-label="Answer" style={{ marginTop: "12px" }}>
          <p class="row">
            <Tag word={String(answer.status)} tone={answer.status >= 200 && answer.status < 300 ? "green" : "red"} />
            <span class="faint">
              {answer.ms.toFixed(0)} ms, {answer.type}
            </span>
          </p>
          <pre class="rule-text answer">
            {answer.text.length > SHOWN_MAX ? `${answer.text.slice(0, SHOWN_MAX)}…` : answer.text}
          </pre>
        </section>
      )}
    </Panel>
  );
}

function prettyOf(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** A value that a schema takes: its example, its default, the first of its words, else something of its type. */
function exampleOf(schema: Schema, contract: Contract, depth = 0): unknown {
  if (depth > DEPTH_MAX) return null;
  const inner = (one: Schema): unknown => exampleOf(one, contract, depth + 1);
  if (schema.$ref !== undefined) {
    const found = contract.components.schemas[schema.$ref.split("/").at(-1) ?? ""];
    return found === undefined ? null : inner(found);
  }
  if (schema.example !== undefined) return schema.example;
  if (schema.default !== undefined) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.anyOf !== undefined) return inner(schema.anyOf[0]);
  if (schema.allOf !== undefined) return Object.assign({}, ...schema.allOf.map(inner));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return schema.items === undefined ? [] : [inner(schema.items)];
  if (type === "object" || schema.properties !== undefined) {
    const names = schema.required ?? Object.keys(schema.properties ?? {});
    return Object.fromEntries(names.map((name) => [name, inner(schema.properties?.[name] ?? {})]));
  }
  if (type === "integer" || type === "number") return schema.minimum ?? 1;
  if (type === "boolean") return false;
  if (type === "null") return null;
  return schema.format === "date-time" ? new Date().toISOString() : "text";
}
