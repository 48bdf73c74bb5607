// Cross-site requests: what another site's page makes a browser send changes nothing here.
import { SentinelError } from "../core/errors.ts";

/** The header that the dashboard sends with every change: a page of another origin would have to ask first, and nobody lets it. */
export const DESK_HEADER = "x-sentinel-desk";
const SAFE: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS"]);
const OWN_SITE: ReadonlySet<string> = new Set(["same-origin", "none"]);

/**
 * Throws `request.cross-site` for a change that a browser sends for another origin's page, with a session's cookie or, where nobody is asked for
 * a key, without one. Who sends a key is no browser that somebody led here. `bySession`: then the header of the dashboard must be there too.
 */
export function checkSite(
  request: { readonly method: string; header(name: string): string | undefined },
  { bySession }: { readonly bySession: boolean },
): void {
  if (SAFE.has(request.method)) return;
  const site = request.header("sec-fetch-site");
  const origin = request.header("origin");
  if (site !== undefined ? !OWN_SITE.has(site) : origin !== undefined && hostOf(origin) !== request.header("host")) {
    throw refused(`the page of ${origin?.slice(0, 100) ?? "another site"} sent it`);
  }
  if (bySession && request.header(DESK_HEADER) === undefined) throw refused(`it has no header ${DESK_HEADER}`);
}

function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    // "null" of a sandboxed page, and whatever is no URL.
    return null;
  }
}

function refused(why: string): SentinelError {
  return new SentinelError("request.cross-site", `the request would change something, and ${why}`, {
    hint: `programs send a key (Authorization: Bearer KEY); the dashboard's own page sends ${DESK_HEADER}: 1 beside its cookie`,
  });
}
