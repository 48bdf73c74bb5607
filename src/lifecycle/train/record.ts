// Writing a training down: the run with parameters and metrics, the version, the alias, the feature state for serving.

import path from "node:path";
import { CANDIDATE } from "../../core/alias.ts";
import { bundleHash } from "../../core/bundle.ts";
import { canonicalJson, sha256 } from "../../core/hash.ts";
import { isRemote } from "../../core/remote.ts";
import { isYes, type Verdict } from "../../core/verdict.ts";
import type { FeatureState } from "../../features/state.ts";
import { type Imported, readManifest } from "../../online/bundle.ts";
import { saveInputs } from "../../online/served-inputs.ts";
import { saveTrainingState } from "../../online/states.ts";
import type { Pipeline } from "../../pipeline/pipeline.ts";
import type { Ports } from "../../ports/ports.ts";
import type { ModelVersion, Registry } from "../../ports/registry.ts";
import { inputsOfTable } from "../data/served.ts";
import { LEARNED_TAG, SINCE_TAG } from "../learned.ts";
import { type Lineage, lineageDataset, lineageTags } from "../lineage/lineage.ts";
import { RULES_TAG, rulesOf, rulesText } from "../promotion-rules.ts";
import type { Basis } from "./basis.ts";
import type { Judged } from "./judge.ts";
import type { TrainInput } from "./task.ts";
import type { Trained } from "./trained.ts";

/** A run with parameters, metrics, curves and where everything came from; returns its id. */
export async function logRun(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly trained: Trained;
    readonly verdicts: readonly Verdict[];
    readonly registry: Registry;
    readonly lineage: Lineage;
    readonly refused: boolean;
  },
): Promise<string> {
  const { input, trained, verdicts, registry, lineage } = given;
  const { pipeline } = input;
  const at = ports.clock.now();
  const runId = await registry.startRun({
    experiment: pipeline.name,
    name: `${input.verb}-${trained.provenance.dataHash.slice(0, 8)}-seed-${trained.provenance.seed}`,
    startedAt: at,
    user: input.actor,
    tags: {
      ...lineageTags(lineage),
      ...Object.fromEntries(verdicts.map(({ gate, verdict }) => [`sentinel.gate.${gate}`, verdict])),
    },
  });
  const metrics = Object.entries(trained.metrics).map(([key, value]) => ({ key, value }));
  const curves = [
    ...trained.fitted.curve.train.map((value, step) => ({ key: "train_log_loss", value, step })),
    ...trained.fitted.curve.validation.map((value, step) => ({ key: "validation_log_loss", value, step })),
  ];
  const compared = trained.fitted.ablation;
  const ablation =
    compared === null
      ? []
      : [
          { key: "ablation_ap_without_anomaly", value: compared.without },
          { key: "ablation_ap_with_anomaly", value: compared.with },
        ];
  const { parameters, imported } = trained.provenance;
  const origin = imported === undefined ? {} : originOf(imported);
  await registry.logRun(runId, {
    params: Object.fromEntries(
      Object.entries({ ...parameters, ...origin }).map(([key, value]) => [key, String(value)]),
    ),
    metrics: [...metrics, ...ablation, ...refitMetrics(trained), ...curves],
    datasets: lineageDataset(lineage),
    at: ports.clock.now(),
  });
  if (given.refused) await registry.endRun(runId, "FAILED", ports.clock.now());
  return runId;
}

/** How the model that serves compares with the judged one, whose figures the others are. */
function refitMetrics({ refit }: Trained): { readonly key: string; readonly value: number }[] {
  if (refit === null) return [];
  const { rows, frauds, scoreShift, alertAgreement } = refit.facts;
  return [
    { key: "refit_rows", value: rows },
    { key: "refit_frauds", value: frauds },
    { key: "refit_score_shift", value: scoreShift },
    { key: "refit_alert_agreement", value: alertAgreement },
  ];
}

/** A foreign model as parameters of its run. */
function originOf({ format, file, sha256, title }: Imported): Readonly<Record<string, string>> {
  return { import_format: format, import_file: file, import_sha256: sha256, import_library: title };
}

/**
 * A version that is visible only when whole, then `prepare` (the state it serves with), and the alias of a candidate on it; the run ends last,
 * so that one of a killed process shows as not ended.
 */
export async function register(
  ports: Ports,
  given: {
    readonly input: TrainInput;
    readonly registry: Registry;
    readonly runId: string;
    readonly judged: Judged;
    readonly verdicts: readonly Verdict[];
    readonly lineage: Lineage;
    readonly prepare: () => Promise<void>;
  },
): Promise<ModelVersion> {
  const { input, registry, runId, judged, verdicts } = given;
  const { model } = input.pipeline;
  const promotion = rulesOf(input.pipeline);
  const document = canonicalJson({ model, bundle: bundleHash(judged.files), verdicts, promotion });
  const evidence = sha256(document);
  const overridden = verdicts.every(isYes) ? null : input.forced;
  const { adopted } = input;
  const publish = (what: Omit<Parameters<Registry["register"]>[0], "runId">): Promise<ModelVersion> =>
    adopted === undefined || adopted.version === null
      ? registry.register({ ...what, runId: adopted?.runId || runId })
      : registry.attach({ ...what, version: adopted.version });
  const left = input.verb === "retrain" ? await leftBehind(registry, input.pipeline, bundleHash(judged.files)) : null;
  input.onStep?.("register");
  const made = {
    model,
    files: judged.files,
    description:
      input.imported === undefined
        ? `${input.verb} by ${input.actor}`
        : `imported from ${input.imported.title} by ${input.actor}`,
    tags: {
      ...lineageTags(given.lineage),
      "sentinel.evidence": evidence,
      [RULES_TAG]: rulesText(input.pipeline),
      [LEARNED_TAG]: String(readManifest(judged.files).learnedUpTo),
      ...Object.fromEntries(verdicts.map(({ gate, verdict }) => [`sentinel.gate.${gate}`, verdict])),
      ...(overridden === null ? {} : { "sentinel.forced": overridden }),
      ...(input.why === undefined ? {} : { "sentinel.why": input.why }),
      ...(input.since === undefined ? {} : { [SINCE_TAG]: String(input.since) }),
    },
    at: ports.clock.now(),
  };
  const version = left ?? (await publish(made));
  input.onStep?.("state");
  await given.prepare();
  input.onStep?.("journal");
  const alias = input.as ?? CANDIDATE;
  const before = (await registry.aliases(model))[alias] ?? null;
  // Where the killed one came as far as this, its entry says what this one's would.
  if (left === null || before !== version.version) {
    // The times that the gates measured differ: the document kept is this one's.
    if (left !== null) await registry.tagVersion(model, version.version, { "sentinel.evidence": evidence });
    await registry.moveAlias({
      model,
      alias,
      from: before,
      to: version.version,
      document,
      entry: {
        at: ports.clock.now(),
        actor: input.actor,
        verb: input.verb,
        verdict: overridden === null ? "pass" : "FORCED",
        evidence,
        reason: overridden ?? reasonOf(input, { verdicts, bundle: bundleHash(judged.files) }),
      },
    });
  }
  input.onStep?.("end");
  await registry.endRun(runId, "FINISHED", ports.clock.now());
  return version;
}

function reasonOf(
  { why }: TrainInput,
  { verdicts, bundle }: { readonly verdicts: readonly Verdict[]; readonly bundle: string },
): string {
  const passed = `passed ${verdicts.map(({ gate }) => gate).join(", ")} gates; bundle ${bundle.slice(0, 12)}`;
  return why === undefined ? passed : `${why}; ${passed}`;
}

/** The very bundle that a killed retraining registered, and that no alias was put on: it is not registered twice. */
async function leftBehind(registry: Registry, pipeline: Pipeline, bundle: string): Promise<ModelVersion | null> {
  const same = (await registry.versions(pipeline.model)).filter((version) => version.bundle === bundle);
  if (same.length === 0) return null;
  const runs = new Map((await registry.runs(pipeline.name)).map(({ runId, status }) => [runId, status]));
  return same.find(({ runId }) => runs.get(runId) === "KILLED") ?? null;
}

/** The feature state at the end of the data, so that a server starts warm; nothing where no process had it as a whole. */
export async function saveState(
  ports: Ports,
  { source, plan }: Basis,
  { state, trained }: { readonly state: FeatureState | null; readonly trained: Trained },
): Promise<void> {
  if (state === null) return;
  await saveTrainingState(ports, {
    pipeline: trained.pipeline.name,
    layout: plan.layoutHash,
    state,
    dataHash: source.hash,
    // Absolute: a server or a replay may run from another folder.
    dataPath: isRemote(source.path) ? source.path : path.resolve(source.path),
    trainedUpTo: trained.trainedUpTo,
  });
  // Some of the rows do not tell which keys are known.
  if (source.part !== undefined) return;
  const { pipeline } = trained;
  const inputs = inputsOfTable(source.table, { pipeline, plan, dataHash: source.hash });
  await saveInputs(ports, { pipeline: pipeline.name, plan, inputs });
}
