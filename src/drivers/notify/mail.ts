// One e-mail by SMTP: plain text, with the happening as its Message-ID, so that a mail that comes twice is seen to be one.
import { createTransport } from "nodemailer";
import { messageOf } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import type { Words } from "./words.ts";

const TIMEOUT_MS = 10_000;

export interface Mail {
  /** smtp://user:password@host:587, or smtps://host. */
  readonly server: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly words: Words;
  readonly key: string;
  readonly timeoutMs?: number;
}

/** A refusal of the mail itself (550 and its like) is final; a server that is away, busy or does not know us yet may take it later. */
export async function sendMail(
  mail: Mail,
): Promise<{ readonly outcome: "taken" } | { readonly outcome: "again" | "refused"; readonly cause: string }> {
  const { server, from, to, words, key, timeoutMs = TIMEOUT_MS } = mail;
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || !/^smtps?:$/.test(url.protocol))
    return { outcome: "again", cause: "its address is none of a mail server: smtp://host:587" };
  const login =
    url.username === ""
      ? {}
      : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } };
  const secure = url.protocol === "smtps:";
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? (secure ? 465 : 587) : Number(url.port),
    secure,
    ...login,
    // A password goes over nothing that others can read, but on this machine.
    requireTLS: !secure && url.username !== "" && !["localhost", "127.0.0.1", "[::1]"].includes(url.hostname),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to: [...to],
      subject: words.title.slice(0, 200),
      text: [...words.lines, ...(words.link === null ? [] : ["", words.link]), ""].join("\n"),
      messageId: `<${sha256(key).slice(0, 32)}@sentinel>`,
      headers: { "x-sentinel-severity": words.severity },
    });
    return { outcome: "taken" };
  } catch (error) {
    const { responseCode, code } = error as { readonly responseCode?: number; readonly code?: string };
    const isFinal = responseCode !== undefined && responseCode >= 500 && code !== "EAUTH";
    return { outcome: isFinal ? "refused" : "again", cause: `the mail server: ${messageOf(error)}`.slice(0, 500) };
  } finally {
    transport.close();
  }
}
