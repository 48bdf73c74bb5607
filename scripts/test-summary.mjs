// Reads vitest's JSON reports, lists what was skipped, and prints `N passed, N failed, N skipped` as the last line.
import { existsSync, readFileSync } from "node:fs";

/**
 * Tests with one of these in their names alone may be skipped in CI: the first read data that are not part of the repository; the second ask
 * the libraries of the benchmarks, half a gigabyte, for what other tests have as stored answers; the third need helm and kubeconform, whose
 * building takes longer than all other tests (scripts/setup-helm).
 */
const MAY_BE_SKIPPED = ["[reference data]", "[bench peers]", "[helm]"];

const [vitestStatus, ...reportFiles] = process.argv.slice(2);
const tests = [];
let failed = 0;
for (const reportFile of reportFiles) {
  if (!existsSync(reportFile)) {
    console.log(`there is no report at ${reportFile}: vitest did not finish`);
    failed++;
    continue;
  }
  for (const file of JSON.parse(readFileSync(reportFile, "utf8")).testResults) {
    tests.push(...file.assertionResults);
    // A file that does not load has no tests to fail.
    if (file.status === "failed" && !file.assertionResults.some(({ status }) => status === "failed")) failed++;
  }
}

const passed = tests.filter(({ status }) => status === "passed").length;
const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed");
failed += tests.length - passed - skipped.length;
for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);
const forbidden = skipped.filter(({ fullName }) => !MAY_BE_SKIPPED.some((mark) => fullName.includes(mark)));
let status = Number(vitestStatus);
if (process.env.CI === "true" && forbidden.length > 0) {
  console.log(`CI=true: ${forbidden.length} of these may not be skipped`);
  status ||= 1;
}
// vitest also fails on an error outside of any test, and on finding no test at all.
if (status !== 0 && failed === 0 && forbidden.length === 0) failed = 1;
if (failed > 0) status ||= 1;
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = status;
