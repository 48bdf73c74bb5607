// The neighbourhood of an entity: two hops, a bounded number of nodes, those that share most first, and nothing behind what everybody shares.
import fc from "fast-check";
import { expect, test } from "vitest";
import { LINK_NODES_MAX, type LinkRow, neighbourhood } from "../../src/cases/graph.ts";

const COLUMNS = ["user", "terminal"];
const around = (rows: readonly LinkRow[], value: string) =>
  neighbourhood(rows, { columns: COLUMNS, column: 0, value, isFraud: (id) => id.startsWith("f") });
const row = (id: string, user: string | null, terminal: string | null): LinkRow => ({ id, values: [user, terminal] });

test("two hops and no third, each value once, with what is known of it", () => {
  const rows = [row("1", "a", "T"), row("f2", "b", "T"), row("3", "b", "U"), row("4", "c", "U"), row("5", "d", null)];
  const { nodes, edges, left } = around(rows, "a");
  expect(nodes.map(({ id, hop, transactions, frauds }) => [id, hop, transactions, frauds])).toEqual([
    ["user:a", 0, 1, 0],
    ["terminal:T", 1, 2, 1],
    ["user:b", 2, 2, 1],
  ]);
  expect(edges).toEqual([
    { from: "user:a", to: "terminal:T", transactions: 1 },
    { from: "terminal:T", to: "user:b", transactions: 1 },
  ]);
  expect(left).toBe(0);
});

test("equal texts of two columns stay two values", () => {
  const { nodes } = around([row("1", "x", "x"), row("2", "y", "x")], "x");
  expect(nodes.map(({ id }) => id)).toEqual(["user:x", "terminal:x", "user:y"]);
});

test("what everybody shares is shown, and leads to nobody", () => {
  const rows = Array.from({ length: 400 }, (_, i) => row(String(i), `u${i}`, i < 100 ? "EVERYWHERE" : `T${i}`));
  const { nodes } = around(rows, "u1");
  expect(nodes.map(({ id }) => id)).toEqual(["user:u1", "terminal:EVERYWHERE"]);
});

test("whatever the rows: bounded, connected from hop to hop, nothing twice", () => {
  const names = (prefix: string, count: number) =>
    fc.option(fc.integer({ min: 0, max: count }).map((n) => `${prefix}${n}`));
  const rows = fc.array(fc.tuple(names("u", 60), names("t", 60)), { maxLength: 300 });
  fc.assert(
    fc.property(rows, (all) => {
      const made = all.map(([user, terminal], i) => row(String(i), user, terminal));
      const { nodes, edges } = around(made, "u1");
      expect(nodes.length).toBeLessThanOrEqual(LINK_NODES_MAX);
      expect(new Set(nodes.map(({ id }) => id)).size).toBe(nodes.length);
      const hopOf = new Map(nodes.map(({ id, hop }) => [id, hop]));
      for (const { from, to } of edges) expect(hopOf.get(to)! - hopOf.get(from)!).toBe(1);
      for (const { id, hop } of nodes) if (hop > 0) expect(edges.some(({ to }) => to === id)).toBe(true);
    }),
  );
});
