// Reasons and attributions over HTTP: of a new transaction, of an earlier one, of champion against candidate.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SentinelServer } from "../../src/server/server.ts";
import { bodyOf, makeBundle, makeWorld, NOW, payments, post, SPEC_A, serve, type World } from "./world.ts";

let world: World;
let server: SentinelServer;
let stop: () => Promise<void>;
const paid = payments(60, { seed: 3, from: NOW - 3_600_000, prefix: "p" });

interface Reason {
  readonly code: string;
  readonly text: string;
  readonly feature: string;
  readonly value: number | null;
  readonly contribution: number;
}

beforeAll(async () => {
  world = makeWorld();
  await world.saveState(SPEC_A);
  await world.alias("champion", await world.register(makeBundle(SPEC_A, 1)));
  ({ server, stop } = await serve(world));
});

afterAll(async () => {
  await stop();
  await world.remove();
});

async function json<T>(response: Response | Promise<Response>): Promise<T> {
  return (await (await response).json()) as T;
}

test("?explain=true adds reasons to the same answer, and nothing without it", async () => {
  const risky = { ...bodyOf(paid[0]), terminal_id: "t0", amount: 250 };
  const plain = await json<object>(post(server, "/predict", { ...risky, transaction_id: "plain" }));
  expect(plain).not.toHaveProperty("reasons");
  expect(await json<object>(post(server, "/predict?explain=false", { ...risky, transaction_id: "plain" }))).toEqual(
    plain,
  );
  const { reasons, ...rest } = await json<{ readonly reasons: readonly Reason[] }>(
    post(server, "/predict?explain=true", { ...risky, transaction_id: "plain" }),
  );
  expect(rest).toEqual(plain);
  const fresh = await json<{ readonly reasons: readonly Reason[] }>(
    post(server, "/predict?explain=true", { ...risky, transaction_id: "fresh" }),
  );
  for (const given of [reasons, fresh.reasons]) {
    expect(given.length).toBeGreaterThan(0);
    expect(
      given.every(({ contribution }, i) => contribution > 0 && contribution <= given[Math.max(0, i - 1)].contribution),
    ).toBe(true);
    for (const { code, text, feature } of given) {
      expect(code).toMatch(/^[A-Z0-9_]+$/);
      expect(text.length).toBeGreaterThan(10);
      expect(SPEC_A.features.map(({ name }) => name)).toContain(feature);
    }
  }
});

test("anything but true or false is refused", async () => {
  const response = await post(server, "/predict?explain=maybe", bodyOf(paid[1]));
  expect(response.status).toBe(422);
  expect(await json(response)).toMatchObject({ code: "request.invalid", errors: [{ field: "explain" }] });
});
