// Brains behind names: each address that DNS gives for a name is one brain; names are looked up again and again.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { messageOf } from "../../core/errors.ts";
import type { Brain, Brains } from "../../ports/brain.ts";

/** One brain, before its protocol speaks to it. */
export interface BrainPlace {
  /** As it was named. */
  readonly url: URL;
  /** One address of its name. */
  readonly address: string;
  readonly port: number;
  /** Address and port, for people. */
  readonly where: string;
}

/** What a protocol makes of a place. Nothing is asked before its first transaction. */
export type MakeBrain = (place: BrainPlace) => Brain & { close(): void };

/** Files of a TLS connection, PEM; null: the system's authorities, no certificate of our own. */
export interface BrainTls {
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export interface NamedBrainsOptions {
  /** Such as http://brains:8000/predict or grpc://brains:50051. */
  readonly urls: readonly URL[];
  /** By the URL's protocol. */
  readonly make: MakeBrain;
  readonly onFault?: (message: string) => void;
  /** How often names are looked up. */
  readonly lookMs?: number;
}

const LOOK_MS = 5000;
/** Addresses of one name. */
const ADDRESSES_MAX = 256;
const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443, "grpc:": 50_051, "grpcs:": 50_051 };

/** What may be reached: nothing is asked before {@link Brains.open}. */
export function namedBrains(options: NamedBrainsOptions): Brains {
  const { urls, make, onFault = () => {}, lookMs = LOOK_MS } = options;
  type Own = ReturnType<MakeBrain>;
  let known = new Map<string, { readonly url: URL; readonly brain: Own }>();
  let all: readonly Brain[] = [];
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const next: typeof known = new Map();
    for (const url of urls) {
      const addresses = await addressesOf(url).catch((error: unknown) => {
        onFault(`${url.hostname} cannot be looked up: ${messageOf(error)}`);
        return null;
      });
      // A name that cannot be looked up now still stands for where it was.
      if (addresses === null) for (const [key, one] of known) if (one.url === url) next.set(key, one);
      for (const address of addresses ?? []) {
        const key = `${url.href} ${address}`;
        next.set(key, known.get(key) ?? { url, brain: make(placeOf(url, address)) });
      }
    }
    for (const [key, { brain }] of known) if (!next.has(key)) brain.close();
    known = next;
    all = [...known.values()].map(({ brain }) => brain);
  };
  return {
    all: () => all,
    async open() {
      await look();
      if (urls.every(({ hostname }) => isIP(bare(hostname)) !== 0)) return;
      timer = setInterval(() => void look(), lookMs).unref();
    },
    close() {
      clearInterval(timer);
      for (const { brain } of known.values()) brain.close();
    },
  };
}

function placeOf(url: URL, address: string): BrainPlace {
  const port = url.port === "" ? PORTS[url.protocol] : Number(url.port);
  return { url, address, port, where: `${address.includes(":") ? `[${address}]` : address}:${port}` };
}

async function addressesOf({ hostname }: URL): Promise<readonly string[]> {
  const name = bare(hostname);
  if (isIP(name) !== 0) return [name];
  const found = await lookup(name, { all: true });
  // One machine often has an address of each kind, and only one of them is listened on.
  const wanted = found.some(({ family }) => family === 4) ? found.filter(({ family }) => family === 4) : found;
  return [...new Set(wanted.map(({ address }) => address))].sort().slice(0, ADDRESSES_MAX);
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, "");
}
