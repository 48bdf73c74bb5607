// Groups of test files: those that need a service, and those that an inner loop runs; vitest.config.ts picks by SENTINEL_TESTS.
import { totalmem } from "node:os";

/** Files that start MLflow, Redis, Chromium, PostgreSQL, Prometheus, an S3 server, DVC or another Node, which scripts/setup-* install while the other tests run. */
export const OUTSIDE_TESTS: readonly string[] = [
  "test/deploy/chart.test.ts",
  "test/deploy/image.test.ts",
  "test/deploy/kube.test.ts",
  "test/deploy/prometheus.test.ts",
  "test/drivers/log/postgres.test.ts",
  "test/drivers/objects/**",
  "test/drivers/registry/**",
  "test/drivers/state/**",
  "test/grpc/clients.test.ts",
  "test/drivers/store/**",
  "test/journeys/**",
  "test/lifecycle/archive/s3.test.ts",
  "test/lifecycle/lineage/lineage.test.ts",
  "test/lifecycle/push.test.ts",
  "test/lifecycle/spark.test.ts",
  "test/lifecycle/verify.test.ts",
  "test/online/states/**",
  "test/reference/**",
  "test/server/api.test.ts",
  "test/server/cases.test.ts",
  "test/server/clients.test.ts",
  "test/server/schemathesis.test.ts",
  "test/server/shared-faults.test.ts",
  "test/server/shared.test.ts",
  "test/server/store.test.ts",
  "test/ui/**",
];

/** Files of pure computation: the whole of them takes well under two minutes. */
export const UNIT_TESTS: readonly string[] = [
  "test/*.test.ts",
  "test/cases/**",
  "test/core/**",
  "test/drift/**",
  "test/evidence/**",
  "test/expression/**",
  "test/features/**",
  "test/metrics/**",
  "test/ml/**",
  "test/online/*.test.ts",
  "test/pipeline/**",
  "test/quality/**",
];

/** Of those, the files that start threads or run somebody else's native library: they took two fifths of the group's time. */
export const NOT_PURE_TESTS: readonly string[] = [
  "test/ml/gbdt/train/threads.test.ts",
  "test/ml/onnx/runtime.test.ts",
  "test/online/shadow.test.ts",
];

/** Of each worker with what it starts: its commands, an MLflow server, a database. */
const WORKER_BYTES = 3e9;
const WORKERS_MIN = 3;
const WORKERS_MAX = 5;

/**
 * Files at once, on two cores: those of services, and all of them together, wait for a server's start, a poll or a time-out about as long as
 * they compute; with four of them a sixth of both cores was idle.
 */
export function workersOf(group: string | undefined): number {
  if (group !== "services" && group !== "all") return 2;
  return Math.min(WORKERS_MAX, Math.max(WORKERS_MIN, Math.floor(totalmem() / WORKER_BYTES)));
}

/** What SENTINEL_TESTS may be: when it is not set, all of them, as for somebody who works beside. */
export function filesOf(group: string | undefined): { readonly include: string[]; readonly exclude: string[] } {
  const all = ["test/**/*.test.ts"];
  const none = ["node_modules/**"];
  const only = (patterns: readonly string[]): string[] =>
    patterns.map((pattern) => (pattern.endsWith("/**") ? `${pattern}/*.test.ts` : pattern));
  if (group === undefined || group === "" || group === "all") return { include: all, exclude: none };
  if (group === "services") return { include: only(OUTSIDE_TESTS), exclude: none };
  if (group === "alone") return { include: all, exclude: [...none, ...OUTSIDE_TESTS] };
  if (group === "unit") return { include: only(UNIT_TESTS), exclude: [...none, ...NOT_PURE_TESTS] };
  throw new Error(`SENTINEL_TESTS is ${JSON.stringify(group)}: use all, services, alone or unit, or leave it out`);
}
