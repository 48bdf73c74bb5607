// The limit of Node itself: a bare node:http server that parses the body and answers as many bytes as a decision has.
import { createServer } from "node:http";

const { bytes } = JSON.parse(process.argv[2]) as { readonly bytes: number };
const answer = Buffer.from(JSON.stringify({ x: "x".repeat(Math.max(0, bytes - 8)) }));
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(chunks).toString("utf8")) as { readonly amount?: unknown };
    response.writeHead(typeof body.amount === "number" ? 200 : 422, {
      "content-type": "application/json",
      "content-length": answer.length,
    });
    response.end(answer);
  });
});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: (server.address() as { port: number }).port })));
