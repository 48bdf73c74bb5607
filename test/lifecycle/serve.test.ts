// Which pipelines a server holds, and which of them answers a request that names none.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { servedNames } from "../../src/lifecycle/serve.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function workspaceOf(...names: string[]): string {
  const folder = mkdtempSync(path.join(tmpdir(), "sentinel-served-"));
  folders.push(folder);
  mkdirSync(path.join(folder, "pipelines"));
  for (const name of names) writeFileSync(path.join(folder, "pipelines", `${name}.yaml`), "");
  return folder;
}

const nobody = { named: [], main: null };

test("without names every pipeline is held; the only one is the default, else card, else none", () => {
  expect(servedNames(workspaceOf("shop"), nobody)).toEqual({ names: ["shop"], main: "shop" });
  expect(servedNames(workspaceOf("shop", "card", "card.rules"), nobody)).toEqual({
    names: ["card", "shop"],
    main: "card",
  });
  expect(servedNames(workspaceOf("shop", "pay"), nobody)).toEqual({ names: ["pay", "shop"], main: null });
  expect(servedNames(workspaceOf("shop", "pay"), { named: [], main: "shop" }).main).toBe("shop");
});

test("those that are named are held, the first of them as the default", () => {
  const workspace = workspaceOf("card", "pay", "shop");
  expect(servedNames(workspace, { named: ["shop", "pay", "shop"], main: null })).toEqual({
    names: ["shop", "pay"],
    main: "shop",
  });
  expect(servedNames(workspace, { named: ["shop", "pay"], main: "pay" }).main).toBe("pay");
});

test("a name that no pipeline has is refused with those there are", () => {
  const workspace = workspaceOf("pay", "shop");
  for (const given of [
    { named: ["nobody"], main: null },
    { named: ["shop"], main: "pay" },
    { named: [], main: "nobody" },
  ]) {
    expect(() => servedNames(workspace, given)).toThrow(expect.objectContaining({ code: "pipeline.missing" }));
  }
});

test("a server may begin with no pipeline, and a stream may not", () => {
  expect(servedNames(workspaceOf(), nobody)).toEqual({ names: [], main: null });
  for (const given of [
    { ...nobody, needed: true },
    { ...nobody, main: "card" },
  ])
    expect(() => servedNames(workspaceOf(), given)).toThrow(expect.objectContaining({ code: "pipeline.missing" }));
});
