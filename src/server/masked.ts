// What a viewer is shown: personal columns of pipelines are hidden in every answer below /api, and no question may ask for them.
import { SentinelError } from "../core/errors.ts";
import type { Mask } from "../core/mask.ts";
import type { RequestContext, Server } from "./parts.ts";

const API = "/api/";
/** Parameters of a query that find texts by what they hold: letter by letter they would tell it. */
const SEARCHES = ["q", "entity"] as const;

/** The mask of whoever asks; null: everything is shown. A store that is away hides more, and fails nothing. */
export async function maskOf(
  { privacies, platform }: Pick<Server, "privacies" | "platform">,
  context: RequestContext,
): Promise<Mask | null> {
  if (context.get("caller")?.key?.role !== "viewer" || !context.req.path.startsWith(API)) return null;
  const stored =
    platform === null
      ? []
      : await platform
          .store()
          .then((store) => store.pipelines.list())
          .catch(() => null);
  const mask = privacies.mask(stored);
  return mask.isEmpty ? null : mask;
}

/** Throws `server.key-role` where a question would tell what the answer hides. */
export function checkQuestion(mask: Mask, context: RequestContext): void {
  const asked = SEARCHES.find((name) => context.req.query(name) !== undefined);
  // As the route reads it: whatever is no text in UTF-8 stays as it came.
  const column = context.req.param("column");
  const isHidden = column !== undefined && mask.has(column);
  if (asked === undefined && !isHidden) return;
  throw new SentinelError("server.key-role", "this key is for a viewer, and the question is about personal values", {
    hint: `${asked === undefined ? "ask for another column" : `leave ${asked} out`}, or use a key made with \`sentinel keys add --role analyst\``,
  });
}

/** The answer with personal values hidden; streams and pages pass, which hold figures alone. */
export async function masked(mask: Mask, response: Response): Promise<Response> {
  const type = response.headers.get("content-type") ?? "";
  if (!/^application\/(json|problem\+json)/.test(type) || response.body === null) return response;
  const text = await response.text();
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  return new Response(JSON.stringify(mask.document(JSON.parse(text))), { status: response.status, headers });
}
