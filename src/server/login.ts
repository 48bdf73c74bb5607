// Logins by a provider: what ties one to the browser that began it, sealed in a cookie of that browser, so that beginnings cost this server no memory.
import { createCipheriv, createDecipheriv } from "node:crypto";
import { SentinelError } from "../core/errors.ts";
import type { LoginFile } from "../pipeline/login.ts";
import type { IdentityProvider, LoginChecks } from "../ports/login.ts";
import type { Clock } from "../ports/ports.ts";

/** A login ends within this time: somebody types a password and a second factor. */
export const LOGIN_MS_MAX = 10 * 60_000;
/** The cookie of a login that has begun. */
export const LOGIN_COOKIE = "sentinel_login";
/** Where it goes, and nowhere else. */
const LOGIN_PATH = "/api/session/oidc";
/**
 * Logins that ended within {@link LOGIN_MS_MAX}, the newest. A stranger can fill this with answers that no provider gave; what is forgotten by
 * that still needs the cookie of its browser, and a code that the provider takes once.
 */
const ENDED_MAX = 10_000;
/** Answers that the provider is asked about at once. Whoever has no consent of the provider can make us ask too, each time for some seconds. */
export const ASKING_MAX = 32;
const SEALED_LENGTH_MAX = 4000;
const [KEY_BYTES, NONCE_BYTES, TAG_BYTES, CHECK_BYTES] = [32, 12, 16, 32];

/** What a server needs for logins by a provider. */
export interface ProviderLogin {
  readonly file: LoginFile;
  readonly provider: IdentityProvider;
}

/** A login that has begun. */
export interface Begun extends LoginChecks {
  /** Where in the dashboard the person wanted to go. */
  readonly to: string;
  /** Milliseconds since 1970, by the server's clock. */
  readonly at: number;
}

/** Logins under way. The key is this process's own: after a restart a login is begun again. */
export class Logins {
  private readonly clock: Clock;
  private readonly random: (bytes: number) => Uint8Array;
  private readonly key: Uint8Array;
  /** States of logins that ended, by the time of their end. */
  private readonly ended = new Map<string, number>();
  private asking = 0;

  constructor(clock: Clock, random: (bytes: number) => Uint8Array) {
    this.clock = clock;
    this.random = random;
    this.key = random(KEY_BYTES);
  }

  begin(to: string): Begun {
    const [state, nonce, verifier] = [1, 2, 3].map(() => Buffer.from(this.random(CHECK_BYTES)).toString("base64url"));
    return { state, nonce, verifier, to, at: this.clock.now() };
  }

  /** For the browser that began it: nobody reads it there, and nobody makes one. */
  seal(begun: Begun): string {
    const nonce = this.random(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.key, nonce);
    const hidden = [cipher.update(JSON.stringify(begun), "utf8"), cipher.final()];
    return Buffer.concat([nonce, ...hidden, cipher.getAuthTag()]).toString("base64url");
  }

  /** The login of a cookie; null where it is none of ours, too old, or has ended already. */
  open(sealed: string): Begun | null {
    if (sealed.length > SEALED_LENGTH_MAX) return null;
    const bytes = Buffer.from(sealed, "base64url");
    if (bytes.length <= NONCE_BYTES + TAG_BYTES) return null;
    const end = bytes.length - TAG_BYTES;
    const decipher = createDecipheriv("aes-256-gcm", this.key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAuthTag(bytes.subarray(end));
    let begun: Begun;
    try {
      const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]);
      begun = JSON.parse(text.toString("utf8")) as Begun;
    } catch {
      return null;
    }
    return this.isOver(begun.at) || this.ended.has(begun.state) ? null : begun;
  }

  /** From now on the login is none any more; false where it ended before. */
  end({ state }: Begun): boolean {
    if (this.ended.has(state)) return false;
    for (const [old, at] of this.ended) {
      if (!this.isOver(at) && this.ended.size < ENDED_MAX) break;
      this.ended.delete(old);
    }
    this.ended.set(state, this.clock.now());
    return true;
  }

  /** Asks the provider about an answer. Throws `server.overloaded` where as many are asked about as may be. */
  async during<T>(ask: () => Promise<T>): Promise<T> {
    if (this.asking >= ASKING_MAX) {
      throw new SentinelError("server.overloaded", `${this.asking} logins wait for the identity provider already`, {
        hint: "begin again at the login page in a moment, or log in with a key",
      });
    }
    this.asking++;
    try {
      return await ask();
    } finally {
      this.asking--;
    }
  }

  /** Logins that are known to have ended. */
  get size(): number {
    return this.ended.size;
  }

  private isOver(at: number): boolean {
    const age = this.clock.now() - at;
    return age < 0 || age >= LOGIN_MS_MAX;
  }
}

/**
 * The Set-Cookie header of a login that begins, or with `sealed` null of one that ended. The provider's redirect brings it along, which `Strict`
 * would not allow.
 */
export function loginCookie(sealed: string | null, { secure }: { readonly secure: boolean }): string {
  const age = sealed === null ? 0 : LOGIN_MS_MAX / 1000;
  const parts = [`${LOGIN_COOKIE}=${sealed ?? ""}`, `Path=${LOGIN_PATH}`, "HttpOnly", "SameSite=Lax", `Max-Age=${age}`];
  return (secure ? [...parts, "Secure"] : parts).join("; ");
}

/** A place of the dashboard, as its address has it behind `#/`; anything else leads to its beginning. */
export function placeIn(to: string | undefined): string {
  return /^#?\/[\w/?=&.%:~+-]{0,500}$/.test(to ?? "") ? to!.replace(/^#?\/+/, "") : "";
}
