// A process for the kill test: flushes records, says so, appends more without flushing, waits to be killed.
import { createSqliteLog } from "../../../src/drivers/log/sqlite/driver.ts";
import { prediction } from "../records.ts";

const log = createSqliteLog({ file: process.argv[2], options: { flushMs: 3_600_000, handOverBytes: 2 ** 30 } });
for (let i = 0; i < 500; i++) log.appendPrediction(prediction(`kept${i}`));
await log.flush();
// So few that they share a piece of memory with those before: one that is full goes to the thread.
for (let i = 0; i < 50; i++) log.appendPrediction(prediction(`lost${i}`));
process.stdout.write("flushed\n");
setInterval(() => {}, 1000);
