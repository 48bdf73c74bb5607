// A stream and its log: where the log falls behind, the stream waits, and no line of it is refused.
import path from "node:path";
import { expect, test } from "vitest";
import { openLog } from "../../src/drivers/log/sqlite/schema.ts";
import { bodyOf, HISTORY, makeBundle, makeWorld, payments, post, SPEC_A, serve, until } from "./world.ts";

const LINES = 11_000;

test("a stream waits for a log that is behind, and goes on when it writes again", async () => {
  const world = makeWorld({ log: { bufferMax: 9000, lagMsMax: 60_000 } });
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  const { server, stop } = await serve(world);
  const other = openLog(path.join(world.dir, "state", "log.db"));
  other.exec("BEGIN IMMEDIATE");
  const lines = payments(LINES, { seed: 6, from: HISTORY.at(-1)!.time, prefix: "s" }).map((one) =>
    JSON.stringify({ ...bodyOf(one), time: undefined }),
  );
  const response = await post(server, "/predict/batch", lines.join("\n"), { "content-type": "application/x-ndjson" });
  const answered = response.text();
  const unwritten = (): number => server.pipelines.main!.log.health().unwritten;
  await until(() => unwritten() >= 8192);
  await new Promise((resolve) => setTimeout(resolve, 50));
  // It waits where others still find room.
  expect(unwritten()).toBeLessThan(8192 + 64);
  other.exec("COMMIT");
  other.close();
  const replies = (await answered).trimEnd().split("\n");
  expect(replies).toHaveLength(LINES);
  expect(replies.filter((line) => line.includes("urn:sentinel:error"))).toEqual([]);
  await stop();
  await world.remove();
}, 60_000);
