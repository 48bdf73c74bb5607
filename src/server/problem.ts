// Problem documents: every error leaves the server in the one shape of RFC 9457, as its media type and headers have it.
import { type Problem, problemOf, retryAfterOf } from "../online/problem.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** The headers of a problem's answer. */
export function problemHeaders(error: unknown, { status }: Problem): Record<string, string> {
  const headers: Record<string, string> = { "content-type": PROBLEM_TYPE };
  const retryAfterS = retryAfterOf(error);
  if (retryAfterS !== null) headers["retry-after"] = String(retryAfterS);
  if (status === 401) headers["www-authenticate"] = "Bearer";
  return headers;
}

/** The answer to a request that failed. */
export function problemResponse(
  error: unknown,
  headers: Readonly<Record<string, string>> = {},
  { errorMember = false }: { readonly errorMember?: boolean } = {},
): Response {
  const known = problemOf(error);
  const problem = errorMember ? { ...known, error: known.detail } : known;
  const { status } = problem;
  return new Response(JSON.stringify(problem), { status, headers: { ...problemHeaders(error, problem), ...headers } });
}
