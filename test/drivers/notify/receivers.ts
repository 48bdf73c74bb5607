// Receivers on loopback for tests of notifications: one that speaks HTTP and does as it is told, and a real SMTP server.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpReceiver {
  readonly url: string;
  readonly received: Received[];
  /** What the next requests are answered; `hang` answers nothing. 200 where nothing is said. */
  answer: (place: number) => number | "hang";
  close(): Promise<void>;
}

/** `port`: to come back where it was. */
export async function httpReceiver(port = 0): Promise<HttpReceiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const answer = receiver.answer(received.length);
      received.push({
        path: request.url ?? "",
        headers: request.headers,
        body: Buffer.concat(chunks).toString("utf8"),
      });
      if (answer === "hang") return;
      response.writeHead(answer).end(answer === 200 ? "ok" : "not now");
    });
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const { port: at } = server.address() as AddressInfo;
  const receiver: HttpReceiver = {
    url: `http://127.0.0.1:${at}/hook`,
    received,
    answer: () => 200,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

export interface MailReceiver {
  readonly url: string;
  readonly mails: { readonly from: string; readonly to: readonly string[]; readonly text: string }[];
  /** Refuses recipients with this code; null: takes all. */
  refusal: number | null;
  close(): Promise<void>;
}

export async function mailReceiver(): Promise<MailReceiver> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo(_, __, done) {
      if (receiver.refusal === null) return done();
      done(Object.assign(new Error("no such box"), { responseCode: receiver.refusal }));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        receiver.mails.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString("utf8"),
        });
        done();
      });
    },
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.server.address() as AddressInfo;
  const receiver: MailReceiver = {
    url: `smtp://127.0.0.1:${port}`,
    mails: [],
    refusal: null,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
  return receiver;
}
