// Gateway: which brains, by which addresses, from options and from the environment's names.
import { SentinelError } from "../core/errors.ts";

/** Where brains are, as the environment says it: a host and a port, by the names of other gateways. */
export interface BrainPlace {
  readonly host: string;
  readonly port: string;
}

/** Brains that one gateway may be given by name. */
const BRAINS_MAX = 64;
const PATH = "/predict";

/** The URLs of the brains. Errors: cli.usage where there is none or one is no URL. */
export function brainUrls(given: readonly string[], place: BrainPlace | null): readonly URL[] {
  const host = place === null || !place.host.includes(":") ? place?.host : `[${place.host}]`;
  const texts = given.length > 0 || place === null ? given : [`http://${host}:${place.port}`];
  if (texts.length === 0) {
    throw new SentinelError("cli.usage", "no brain is named", {
      hint: "--brain http://127.0.0.1:8000 (several times for several); or set BRAIN_SERVICE_HOST and BRAIN_SERVICE_PORT",
    });
  }
  if (texts.length > BRAINS_MAX) {
    throw new SentinelError("cli.usage", `${texts.length} brains are named, and ${BRAINS_MAX} may be`, {
      hint: "put them behind one name that DNS resolves to all of them",
    });
  }
  return texts.map(urlOf);
}

function urlOf(text: string): URL {
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw noUrl(text);
  }
  if ((url.protocol !== "http:" && url.protocol !== "https:") || url.hostname === "" || url.username !== "") {
    throw noUrl(text);
  }
  if (url.pathname === "/" || url.pathname === "") url.pathname = PATH;
  return url;
}

function noUrl(text: string): SentinelError {
  return new SentinelError("cli.usage", `--brain ${text} is no address of a brain`, {
    hint: "--brain http://HOST:PORT, or http://HOST:PORT/pipelines/NAME/predict",
  });
}
