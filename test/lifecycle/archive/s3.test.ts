// The archive in a bucket of a real S3 server: exactly once through kills and outages, and read by every verb that reads tables.
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { loadConfig, s3Login } from "../../../src/config.ts";
import { bucketPlace } from "../../../src/core/remote.ts";
import { createS3Objects } from "../../../src/drivers/objects/s3/driver.ts";
import { followLog } from "../../../src/lifecycle/archive/follow.ts";
import { compactArchive, expireArchive } from "../../../src/lifecycle/archive/maintain.ts";
import { verifyArchive } from "../../../src/lifecycle/archive/verify.ts";
import { archiveNow } from "../../../src/lifecycle/archive/write.ts";
import { readSource } from "../../../src/lifecycle/data/source.ts";
import type { ArchiveStatus } from "../../../src/ports/archive.ts";
import type { Ports } from "../../../src/ports/ports.ts";
import { sentinelJson } from "../../cli/sentinel.ts";
import { type FaultyProxy, startFaultyProxy } from "../../drivers/faulty-proxy.ts";
import { label, prediction } from "../../drivers/records.ts";
import { BUCKET, type S3Process, s3Installed, startS3 } from "../../drivers/s3-server.ts";
import { killAgainAndAgain } from "./killed.ts";
import { type ArchivePlace, archivePlace, ask, DAY, fillLog } from "./place.ts";

if (!s3Installed) {
  console.warn("SKIPPED archives in a bucket: no moto in .cache/; scripts/setup-python installs it");
  test.runIf(process.env.CI === "true")("moto is installed", () => {
    expect(s3Installed, "CI must run scripts/setup-python first").toBe(true);
  });
}

describe.runIf(s3Installed)("an archive in a bucket", () => {
  let s3: S3Process;
  let proxy: FaultyProxy;
  let place: ArchivePlace;
  let ports: Ports;
  let close: () => Promise<void>;
  const ROOT = `s3://${BUCKET}/archive/card`;
  beforeAll(async () => {
    s3 = await startS3();
    proxy = await startFaultyProxy(s3.uri);
  });
  afterAll(async () => {
    await proxy?.close();
    await s3?.dispose();
  });
  beforeEach(async () => {
    await s3.empty();
    proxy.fault = () => null;
    place = archivePlace(`to: "s3://${BUCKET}/archive", row_group: 2048, every: 1s`);
    await open();
  });
  /** Ports anew: a log that another process changes is not open meanwhile. */
  const open = async (): Promise<Ports> => {
    ({ ports, close } = place.open(s3.environment(proxy.uri)));
    return ports;
  };
  afterEach(async () => {
    await close();
    place.dispose();
  });

  const rowsOf = async (asked: string): Promise<number> => (await (await ports.dataset()).describe(asked)).rows;

  test("is written, read by prefix, pattern and object, compacted, checked and expired", async () => {
    await fillLog(ports, { from: 0, count: 400 });
    await archiveNow(ports, place.input);
    await fillLog(ports, { from: 400, count: 40 });
    await archiveNow(ports, place.input);
    expect([
      await rowsOf(ROOT),
      await rowsOf(`${ROOT}/`),
      await rowsOf(`${ROOT}/date=2026-03-01`),
      await rowsOf(`${ROOT}/date=2026-03-0?/*.parquet`),
      await rowsOf(`${ROOT}/date=2026-03-01,${ROOT}/date=2026-03-02`),
    ]).toEqual([440, 440, 110, 440, 220]);
    const [first] = await (await ports.archive!())!.objects.list("date=2026-03-01/");
    expect(await rowsOf(`${ROOT}/${first.key}`)).toBe(100);
    const { table, hash } = await readSource(await ports.dataset(), place.pipeline, {
      path: ROOT,
      plans: [],
      labelled: true,
    });
    const labels = table.columns.get("is_fraud")!;
    expect(labels.kind === "number" && labels.values.filter((value) => !Number.isNaN(value)).length).toBe(44);
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await compactArchive(ports, place.input)).toMatchObject({
      days: 4,
      filesBefore: 8,
      filesAfter: 4,
      rows: 440,
    });
    expect([await rowsOf(ROOT), (await verifyArchive(ports, place.input)).faults]).toEqual([440, 0]);
    expect(await expireArchive(ports, { ...place.input, days: 18 })).toMatchObject({ days: 2, files: 2 });
    expect(await rowsOf(ROOT)).toBe(220);
    await expect(rowsOf(`s3://${BUCKET}/none`)).rejects.toMatchObject({ code: "dataset.missing" });
    await expect(rowsOf(`${ROOT}/date=2030-*/*.parquet`)).rejects.toMatchObject({ code: "dataset.missing" });
  });

  test("a person is found in no object afterwards, nobody else's rows change, and the receipt says what the bucket keeps", async () => {
    const [CARD, NEIGHBOUR] = ['C-4929"7/Ünï', "C-4929"];
    const log = await ports.log();
    for (let i = 0; i < 60; i++) {
      const fields = { amount: i, customer_id: i % 2 === 0 ? CARD : NEIGHBOUR, account: "a", country: "FR" };
      const extra = { note: `card ${String(fields.customer_id)} again` };
      log.appendPrediction(prediction(`p${i}`, { fields, extra, time: DAY + i * 1000 }));
      if (i % 6 === 0) log.appendLabel(label(`p${i}`, { source: `analyst of ${CARD}` }));
    }
    await log.flush();
    await archiveNow(ports, place.input);
    await close();
    const { objects } = (await (await open()).archive!())!;
    /** Of every object: its bytes, unpacked, and the rows of a table. */
    const holding = async (wanted: string): Promise<readonly string[]> => {
      const found: string[] = [];
      for (const { key } of await objects.list("")) {
        const bytes = Buffer.from((await objects.read(key))!);
        const file = path.join(place.dir, `fetched-${path.basename(key)}`);
        writeFileSync(file, bytes);
        const rows = key.endsWith(".parquet") ? JSON.stringify(await ask(`SELECT * FROM '${file}'`)) : "";
        rmSync(file);
        const text = key.endsWith(".gz") ? gunzipSync(bytes) : bytes;
        const spellings = [
          wanted,
          JSON.stringify(wanted).slice(1, -1),
          JSON.stringify(JSON.stringify(wanted)).slice(3, -3),
        ];
        if (spellings.some((one) => text.includes(one) || rows.includes(one))) found.push(key);
      }
      return found;
    };
    expect((await holding(CARD)).length).toBeGreaterThan(0);
    const options = { cwd: place.dir, env: { ...s3.environment(proxy.uri), SENTINEL_FORGET_KEY: "k".repeat(32) } };
    const first = await sentinelJson(["forget", "--card", CARD], options);
    expect([first.code, first.stderr]).toEqual([0, expect.anything()]);
    expect(first.json.places).toContainEqual({ where: ROOT, what: "transactions", found: 30 });
    expect(first.json.left).toEqual([]);
    expect(await holding(CARD)).toEqual([]);
    expect((await holding(NEIGHBOUR)).length).toBeGreaterThan(0);
    expect(await verifyArchive(ports, place.input)).toMatchObject({ faults: 0 });
    expect(await rowsOf(ROOT)).toBe(60);

    const versioned = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    expect((await fetch(`${s3.uri}/${BUCKET}?versioning`, { method: "PUT", body: versioned })).ok).toBe(true);
    const again = await sentinelJson(["forget", "--card", CARD], options);
    expect([again.code, again.json.places.filter(({ found }: { found: number }) => found > 0)]).toEqual([0, []]);
    expect(again.json.left).toEqual([
      { where: ROOT, why: expect.stringContaining("keeps versions"), todo: expect.stringContaining("expire") },
    ]);
  }, 120_000);

  // The same steps as in a folder, at a network's pace.
  const asked = process.env.SENTINEL_ARCHIVE_KILLS !== undefined;
  if (asked)
    test("loses nothing and doubles nothing when its processes are killed", async () => {
      await killAgainAndAgain({
        place,
        environment: s3.environment(),
        steps: { write: [3], compact: [2] },
        asked: ROOT,
        // What somebody sees who lists the objects that a pattern of Parquet files matches.
        count: async () => {
          const { objects, files } = (await ports.archive!())!;
          const ids: unknown[] = [];
          await objects.scratch(async (folder) => {
            for (const { key } of await objects.list("date=")) {
              if (!key.endsWith(".parquet")) continue;
              for await (const { rows } of files.read([await objects.file(key, folder)])) ids.push(...rows.cells[0]);
            }
          });
          return [ids.length, new Set(ids).size];
        },
      });
    });

  test("is away for a while: the log keeps everything, tells how far behind the archive is, and catches up by itself", async () => {
    const told: ArchiveStatus[] = [];
    let waits = 0;
    let stop = false;
    await fillLog(ports, { from: 0, count: 50 });
    proxy.fault = () => ({ status: 503, text: "" });
    const objects = createS3Objects({
      place: bucketPlace(ROOT),
      login: s3Login(loadConfig({ environment: s3.environment(proxy.uri) })),
      patience: { waitsMs: [1, 1], tryMsMax: 5000 },
    });
    const { files } = (await ports.archive!())!;
    await followLog({ ...ports, archive: async () => ({ objects, files }) }, place.input, {
      stopping: () => stop,
      tell: (status) => told.push(status),
      wait: async () => {
        waits++;
        const { fault, behind } = told[told.length - 1];
        if (waits === 1) {
          expect([fault?.code, behind]).toEqual(["archive.unreachable", 55 + 1]);
          await fillLog(ports, { from: 50, count: 50 });
        }
        if (waits === 2) proxy.fault = () => null;
        if (waits === 3) {
          expect([fault, behind]).toEqual([null, 0]);
          // The last words of a server that stops.
          await fillLog(ports, { from: 100, count: 10 });
          stop = true;
        }
      },
    });
    expect(told.at(-1)).toMatchObject({ failures: 2, fault: null, behind: 0, rows: 110 });
    expect([await rowsOf(ROOT), (await verifyArchive(ports, place.input)).faults]).toEqual([110, 0]);
  });

  test("the environment's place comes before the file's", async () => {
    await close();
    const environment = { ...s3.environment(), SENTINEL_ARCHIVE_URL: `s3://${BUCKET}/other` };
    ({ ports, close } = place.open(environment));
    await fillLog(ports, { from: 0, count: 4 });
    await archiveNow(ports, place.input);
    expect([await rowsOf(`s3://${BUCKET}/other/card`), path.posix.basename(ROOT)]).toEqual([4, "card"]);
    await expect(rowsOf(ROOT)).rejects.toMatchObject({ code: "dataset.missing" });
  });
});
