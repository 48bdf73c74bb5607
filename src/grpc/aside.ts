// Streams aside: health watches and reflections, which may stay open for days; counted, bounded, and ended when the server stops.
import { SentinelError } from "../core/errors.ts";

/** Watches and reflections open at once. */
const OPEN_MAX = 1000;

export class Aside {
  private readonly open = new Set<() => void>();
  private stopping = false;

  /** A stream opens; `end` ends it from here. Gives what its end must call. Throws `server.overloaded`, `server.not-ready`. */
  enter(end: () => void): () => void {
    if (this.stopping) throw stopping();
    if (this.open.size >= OPEN_MAX) {
      throw new SentinelError(
        "server.overloaded",
        `${this.open.size} health watches and reflections are open already`,
        {
          hint: "close those that nobody reads, or ask Check",
        },
      );
    }
    this.open.add(end);
    return () => void this.open.delete(end);
  }

  /** Ends all of them, and lets no other begin. */
  stop(): void {
    this.stopping = true;
    for (const end of this.open) end();
    this.open.clear();
  }
}

/** What a stream is ended with when the server stops. */
export function stopping(): SentinelError {
  return new SentinelError("server.not-ready", "the server is stopping", {
    hint: "call again: another server answers",
  });
}
