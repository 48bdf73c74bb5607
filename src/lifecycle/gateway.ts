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
const PROTOCOLS: ReadonlySet<string> = new Set(["http:", "https:", "grpc:", "grpcs:"]);
/** Where brains answer gRPC, here and in the systems whose names of the environment are read: a brain that is named with this port is asked by gRPC. */
const GRPC_PORT = "50051";
const GRPC_PATH = /^\/(pipelines\/[^/]+\/?)?$/;

/** The URLs of the brains. Errors: cli.usage where there is none or one is no URL. */
export function brainUrls(given: readonly string[], place: BrainPlace | null): readonly URL[] {
  const texts = given.length > 0 || place === null ? given : [textOf(place)];
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

function textOf({ host, port }: BrainPlace): string {
  return `${port === GRPC_PORT ? "grpc" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function urlOf(text: string): URL {
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw noUrl(text);
  }
  if (!PROTOCOLS.has(url.protocol) || url.hostname === "" || url.username !== "") throw noUrl(text);
  if (url.protocol.startsWith("grpc")) {
    if (url.pathname !== "" && !GRPC_PATH.test(url.pathname)) throw noUrl(text);
  } else if (url.pathname === "/" || url.pathname === "") url.pathname = PATH;
  return url;
}

function noUrl(text: string): SentinelError {
  return new SentinelError("cli.usage", `--brain ${text} is no address of a brain`, {
    hint: "--brain http://HOST:PORT or grpc://HOST:PORT (https:, grpcs: with TLS); one pipeline: http://HOST:PORT/pipelines/NAME/predict, grpc://HOST:PORT/pipelines/NAME",
  });
}
