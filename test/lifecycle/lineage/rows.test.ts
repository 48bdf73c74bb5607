// A lineage for people: what is known in full sentences, what is not known left out.
import { expect, test } from "vitest";
import { lineageRows } from "../../../src/lifecycle/lineage/rows.ts";

test("every fact has its line, in the order in which one asks", () => {
  const tags = {
    "mlflow.user": "ana",
    "sentinel.verb": "retrain",
    "sentinel.data_path": "data/[a]{b}.parquet",
    "sentinel.data_rows": "72663",
    "sentinel.data_hash": "d1",
    "sentinel.grown_from_path": "data/t.parquet",
    "sentinel.grown_from_hash": "d0",
    "sentinel.grown_by_rows": "12",
    "dvc.md5": "m",
    "dvc.file": "t.parquet.dvc",
    "dvc.rev": "0123456789abcdef",
    "mlflow.source.git.commit": "c",
    "mlflow.source.git.dirty": "true",
    "sentinel.feature_hash": "f",
    "sentinel.pipeline_hash": "p",
    "sentinel.seed": "0",
    "sentinel.parameters": '{"trees":300,"calibration":"choose"}',
    "sentinel.parent": "3",
    "sentinel.package_version": "1",
    "sentinel.node_version": "v20",
  };
  expect(lineageRows(tags)).toEqual([
    ["made by", "ana, retrain"],
    ["data", "data/[a]{b}.parquet (72663 rows)"],
    ["data SHA-256", "d1"],
    ["grown from", "data/t.parquet, SHA-256 d0, by 12 rows of the log"],
    ["data in DVC", "m (t.parquet.dvc, commit 0123456789ab)"],
    ["code", "c, with uncommitted changes"],
    ["features", "f"],
    ["pipeline", "p"],
    ["seed", "0"],
    ["parameters", "trees 300, calibration choose"],
    ["parent", "version 3, the champion then"],
    ["Sentinel", "1"],
    ["Node", "v20"],
  ]);
});

test("what is not known has no line, and a version made by others none at all", () => {
  expect(lineageRows({})).toEqual([]);
  expect(lineageRows({ "mlflow.user": "ana", "sentinel.parent": "", "sentinel.parameters": "no JSON" })).toEqual([
    ["made by", "ana"],
    ["parameters", "no JSON"],
  ]);
  expect(lineageRows({ "dvc.state": "dvc.lock is behind" })).toEqual([["data in DVC", "dvc.lock is behind"]]);
});
