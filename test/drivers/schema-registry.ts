// A schema registry for tests, in this process: Confluent's routes for Avro, with the rule BACKWARD; `away` lets it answer 503.
import { createServer, type IncomingMessage } from "node:http";
import avro from "avsc";

export interface RegistryServer {
  readonly url: string;
  /** Requests that came, such as "GET /schemas/ids/1". */
  readonly asked: string[];
  away: boolean;
  dispose(): Promise<void>;
}

export async function startRegistry(): Promise<RegistryServer> {
  const schemas: string[] = [];
  const subjects = new Map<string, number[]>();
  const asked: string[] = [];
  const state = { away: false };
  const mayFollow = (subject: string, schema: string): string | null => {
    const last = subjects.get(subject)?.at(-1);
    if (last === undefined) return null;
    try {
      const reader = avro.Type.forSchema(JSON.parse(schema));
      reader.createResolver(avro.Type.forSchema(JSON.parse(schemas[last - 1])));
      return null;
    } catch (error) {
      return String(error);
    }
  };
  const answer = (method: string, url: string, body: { readonly schema?: string }): readonly [number, unknown] => {
    const [, first, second, third, fourth] = url.split("?")[0].split("/").map(decodeURIComponent);
    if (state.away) return [503, { error_code: 50_301 }];
    if (first === "schemas" && second === "ids") {
      const schema = schemas[Number(third) - 1];
      return schema === undefined ? [404, { error_code: 40_403 }] : [200, { schema }];
    }
    if (first === "compatibility") {
      const fault = mayFollow(third, body.schema!);
      return [200, { is_compatible: fault === null, messages: fault === null ? [] : [fault] }];
    }
    const ids = subjects.get(second);
    if (first !== "subjects") return [404, {}];
    if (method === "POST") {
      if (mayFollow(second, body.schema!) !== null) return [409, { error_code: 409 }];
      let id = schemas.indexOf(body.schema!) + 1;
      if (id === 0) id = schemas.push(body.schema!);
      subjects.set(second, [...new Set([...(ids ?? []), id])]);
      return [200, { id }];
    }
    if (ids === undefined) return [404, { error_code: 40_401 }];
    if (fourth === undefined) return [200, ids.map((_, at) => at + 1)];
    const id = ids[Number(fourth) - 1];
    return [200, { subject: second, version: Number(fourth), id, schema: schemas[id - 1] }];
  };
  const server = createServer((request, response) => {
    void textOf(request).then((text) => {
      asked.push(`${request.method} ${request.url}`);
      const [status, json] = answer(request.method!, request.url!, text === "" ? {} : JSON.parse(text));
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { readonly port: number };
  return Object.assign(state, {
    url: `http://127.0.0.1:${port}`,
    asked,
    dispose: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
