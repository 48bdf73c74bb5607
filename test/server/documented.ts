// Whether an answer is what /openapi.json says of its route: its status, its content type, its body.
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { expect } from "vitest";

interface Content {
  readonly content: Readonly<Record<string, { readonly schema: object }>>;
}
interface Operation {
  readonly requestBody?: Content;
  readonly responses: Readonly<Record<string, Partial<Content> & { readonly $ref?: string }>>;
}
export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, object>>;
    readonly responses: Readonly<Record<string, Partial<Content>>>;
  };
}

export interface Answered {
  readonly status: number;
  /** The Content-Type header. */
  readonly type: string | null;
  readonly text: string;
}

export interface Documented {
  /** The validator of a schema of the document. */
  check(schema: object): ValidateFunction;
  /** Fails unless the answer of this route is documented. */
  answer(answered: Answered, at: { readonly path: string; readonly method: string }): void;
  /** Fails unless the answer is a problem document. */
  problem(answered: Answered): void;
}

export function documentedBy(document: Document): Documented {
  const compiled = new Map<object, ValidateFunction>();
  const check = (schema: object): ValidateFunction => {
    let valid = compiled.get(schema);
    if (valid === undefined) {
      const ajv = new Ajv2020({ strict: false, allErrors: true });
      addFormats.default(ajv);
      valid = ajv.compile({ ...schema, components: document.components });
      compiled.set(schema, valid);
    }
    return valid;
  };
  const content = (of: Content["content"], { status, type: given, text }: Answered, what: string): void => {
    const type = (given ?? "").split(";")[0];
    expect(Object.keys(of), `${what} ${status}: ${text.slice(0, 300)}`).toContain(type);
    if (!type.includes("json")) return;
    const valid = check(of[type].schema);
    // A stream without a line is answered by one.
    const lines = text.trim() === "" ? [] : text.trim().split("\n");
    for (const body of type === "application/x-ndjson" ? lines : [text]) {
      valid(JSON.parse(body));
      expect(valid.errors ?? [], `${what} ${status}: ${body}`).toEqual([]);
    }
  };
  return {
    check,
    answer(answered, { path, method }) {
      const { responses } = document.paths[path][method.toLowerCase()];
      const given = responses[answered.status];
      expect(given, `${method} ${path} answers ${answered.status}: ${answered.text.slice(0, 300)}`).toBeDefined();
      const of = given.$ref === undefined ? given : document.components.responses[given.$ref.split("/").at(-1)!];
      // An answer without content is documented as one.
      if (of.content === undefined) expect(answered.text, `${method} ${path}`).toBe("");
      else content(of.content, answered, `${method} ${path}`);
    },
    problem(answered) {
      const schema = document.components.schemas.Problem;
      content({ "application/problem+json": { schema } }, answered, "no route");
      expect((JSON.parse(answered.text) as { readonly status: number }).status).toBe(answered.status);
    },
  };
}
