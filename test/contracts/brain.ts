// The contract of the Brain port: one suite for every protocol, asked of real servers.
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KeyRecord, newKey } from "../../src/core/key.ts";
import { Random } from "../../src/core/random.ts";
import { type MakeBrain, namedBrains } from "../../src/drivers/brain/named.ts";
import { Chaos, type ChaosPlan } from "../../src/online/chaos.ts";
import type { Brain, Brains } from "../../src/ports/brain.ts";
import type { SentinelServer, ServerOptions } from "../../src/server/server.ts";
import {
  bodyOf,
  makeBundle,
  makeWorld,
  NOW,
  payments,
  post,
  reply,
  SPEC_A,
  serve,
  type World,
} from "../server/world.ts";

/** How the driver under test reaches a server. */
export interface BrainRoad {
  readonly name: string;
  /** Opens the server's door of this protocol; the address of a pipeline there, or of the default one. */
  open(server: SentinelServer): Promise<(pipeline?: string) => URL>;
  /** An address of this protocol on which nobody listens. */
  readonly nobody: URL;
  make(key: string | null): MakeBrain;
}

const chaosOf = (plan: ChaosPlan): Chaos => new Chaos(plan, new Random(1));

export function brainContract(road: BrainRoad): void {
  describe(`a brain by ${road.name}`, () => {
    let world: World;
    let server: SentinelServer;
    let stop: () => Promise<void>;
    let at: (pipeline?: string) => URL;
    const closing: (() => unknown)[] = [];
    const rows = payments(60, { seed: 77, from: NOW - 40 * 3_600_000, prefix: `brain-${road.name}-` }).map(bodyOf);
    const next = (): Record<string, unknown> => rows.pop()!;

    /** A server of the world, and a brain that asks it. */
    const begin = async (options: ServerOptions = {}) => {
      const made = await serve(world, { announceMs: 0, ...options });
      closing.push(made.stop);
      return { ...made, at: await road.open(made.server) };
    };
    const brainAt = async (url: URL, key: string | null = null): Promise<Brain> => {
      const brains: Brains = namedBrains({ urls: [url], make: road.make(key) });
      await brains.open();
      closing.push(() => brains.close());
      return brains.all()[0];
    };
    const ask = (brain: Brain, body: unknown, signal = new AbortController().signal) =>
      brain.score(typeof body === "string" ? body : JSON.stringify(body), { requestId: "r-1", signal });

    const refused = async (brain: Brain, body: unknown) => {
      const said = await ask(brain, body);
      if (said.kind === "refusal") return said;
      throw new Error(`it was answered: ${JSON.stringify(said.answer)}`);
    };

    beforeAll(async () => {
      world = makeWorld();
      await world.saveState(SPEC_A);
      await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
      ({ server, stop, at } = await begin());
    });
    afterAll(async () => {
      for (const close of closing.reverse()) await close();
      await stop();
      await world.remove();
    });

    test("a decision has the text that POST /predict answers, also of the pipeline that is named", async () => {
      for (const brain of [await brainAt(at()), await brainAt(at("card"))]) {
        const row = next();
        const said = await ask(brain, row);
        expect(said.kind).toBe("answer");
        const text = JSON.stringify(said.kind === "answer" ? said.answer : null);
        expect(text).toBe(await (await post(server, "/predict", row)).text());
        expect(await ask(brain, row)).toEqual(said);
      }
    });

    test.each([
      ["no transaction", () => ({ transaction_id: "x" }), 422, "request.invalid"],
      ["no JSON", () => "{", 400, "request.malformed"],
    ])("%s is the transaction's fault: its problem is passed on", async (_, body, status, code) => {
      const said = await refused(await brainAt(at()), body());
      expect(said.status).toBe(status);
      const given = body();
      const over = await reply(post(server, "/predict", given));
      expect(JSON.parse(said.text)).toEqual(over);
      expect(over.code).toBe(code);
    });

    test("an id with other content is refused", async () => {
      const [brain, row] = [await brainAt(at()), next()];
      await ask(brain, row);
      const { status, text } = await refused(brain, { ...row, amount: 1 });
      expect({ status, code: (JSON.parse(text) as { readonly code: string }).code }).toEqual({
        status: 409,
        code: "request.duplicate",
      });
    });

    test("what is nobody's fault who sends a transaction is a brain that does not answer", async () => {
      const { id, key, hash } = newKey((bytes) => randomBytes(bytes));
      const record: KeyRecord = {
        id,
        name: "gateway",
        role: "predict",
        hash,
        createdAt: 0,
        createdBy: "t",
        expiresAt: null,
        revokedAt: null,
        rate: null,
      };
      const other = await begin({ keys: [record] });
      const row = next();
      await expect(ask(await brainAt(other.at()), row)).rejects.toThrow(/401|key/);
      await expect(ask(await brainAt(at("nobody")), row)).rejects.toThrow(/404|not-found/);
      await expect(ask(await brainAt(road.nobody), row)).rejects.toThrow(Error);
      expect(await ask(await brainAt(other.at(), key), row)).toMatchObject({ kind: "answer" });
    });

    test("nobody waits for a brain longer than the caller does", async () => {
      const { at: slow } = await begin({
        chaos: chaosOf({ slow: 1, fail: 0, delayMs: 60_000 }),
        drainMsMax: 50,
      });
      const brain = await brainAt(slow());
      const end = new AbortController();
      const asked = ask(brain, next(), end.signal);
      setTimeout(() => end.abort(new Error("no answer within 50 ms")), 50);
      await expect(asked).rejects.toThrow();
      const before = new AbortController();
      before.abort(new Error("too late"));
      await expect(ask(brain, next(), before.signal)).rejects.toThrow();
    });

    test("a brain that fails on purpose fails, says so, and answers the rest", async () => {
      const failing = await begin({ chaos: chaosOf({ slow: 0, fail: 0.5, delayMs: 0 }) });
      const brain = await brainAt(failing.at());
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, () => ask(brain, next()).then(({ kind }) => kind, String)),
      );
      expect(outcomes.filter((one) => one === "answer").length).toBeGreaterThan(3);
      expect(outcomes.filter((one) => String(one).includes("server.chaos")).length).toBeGreaterThan(3);
    });
  });
}
