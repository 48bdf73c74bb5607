// The query `?explain=true`: whether a request asks for reasons.
import { invalidRequest } from "../online/faults.ts";
import type { RequestContext } from "./parts.ts";

/** Whether the request asks for reasons. Throws `request.invalid` for anything but true or false. */
export function wantsReasons(context: RequestContext): boolean {
  const given = context.req.query("explain");
  if (given === undefined || given === "false") return false;
  if (given === "true") return true;
  throw invalidRequest([{ field: "explain", message: "must be true or false" }], "the query");
}
