// Reasons: the few things that raised a score most, each with a stable code and a sentence.
import { quantileSorted } from "../../core/stats.ts";
import type { FeatureReference, Reference } from "../../drift/reference.ts";
import { readJson } from "../bundle.ts";
import type { Scorer } from "../score.ts";
import type { Contribution, Explanation } from "./attribution.ts";
import { type Speaker, speakerOf } from "./sentence.ts";
import { topicsOf } from "./topic.ts";

/** One thing that raised the score. */
export interface Reason {
  /** Stable and for machines, such as `TERMINAL_FRAUD_RATE`: what the features of one key and measure share. */
  readonly code: string;
  /** What an analyst would say aloud, of the strongest of these features. */
  readonly text: string;
  readonly feature: string;
  /** Of that feature; null: missing. */
  readonly value: number | null;
  /** What all features of the code together add to the margin (log-odds). */
  readonly contribution: number;
}

/** More than a handful nobody reads; credit scoring names four too (Regulation B, official interpretation of § 1002.9(b)(2)). */
export const REASONS_MAX = 4;
/** What adds less than this share of the first reason explains nothing. */
const SHARE_MIN = 0.05;

const speaking = new WeakMap<Scorer, Spoken>();

interface Spoken {
  readonly topics: ReadonlyMap<string, string>;
  readonly speak: Speaker;
  readonly usual: ReadonlyMap<string, number>;
}

/**
 * What raised the score, the strongest first; empty where nothing did. Attributions add up, so a code's contribution is the
 * sum over its features, those that lowered the score included.
 */
export function reasonsOf(scorer: Scorer, explanation: Explanation, max = REASONS_MAX): readonly Reason[] {
  const { topics, speak, usual } = spokenOf(scorer);
  const byCode = new Map<string, Contribution[]>();
  for (const one of explanation.contributions) {
    const code = topics.get(one.feature)!;
    const members = byCode.get(code);
    if (members === undefined) byCode.set(code, [one]);
    else members.push(one);
  }
  const raised = [...byCode]
    .map(([code, members]) => ({ code, members, total: members.reduce((sum, one) => sum + one.contribution, 0) }))
    .filter(({ total }) => total > 0)
    .sort((a, b) => b.total - a.total);
  return raised
    .filter(({ total }) => total >= SHARE_MIN * raised[0].total)
    .slice(0, max)
    .map(({ code, members, total }) => {
      const { feature, value } = strongest(members);
      const text = speak(feature, { value: value ?? Number.NaN, usual: usual.get(feature) });
      return { code, text, feature, value, contribution: total };
    });
}

/** A sentence for every feature of an explanation, whatever it did to the score. */
export function sentencesOf(scorer: Scorer, explanation: Explanation): ReadonlyMap<string, string> {
  const { speak, usual } = spokenOf(scorer);
  return new Map(
    explanation.contributions.map(({ feature, value }) => [
      feature,
      speak(feature, { value: value ?? Number.NaN, usual: usual.get(feature) }),
    ]),
  );
}

function strongest(members: readonly Contribution[]): Contribution {
  return members.reduce((most, one) => (one.contribution > most.contribution ? one : most));
}

function spokenOf(scorer: Scorer): Spoken {
  let spoken = speaking.get(scorer);
  if (spoken === undefined) {
    const { features } = scorer.manifest;
    spoken = { topics: topicsOf(features), speak: speakerOf(features), usual: usualOf(scorer) };
    speaking.set(scorer, spoken);
  }
  return spoken;
}

/** Each feature's middle value when the model learned; none in a bundle without a reference. */
function usualOf(scorer: Scorer): ReadonlyMap<string, number> {
  if (!scorer.files.has("reference.json")) return new Map();
  const reference = readJson(scorer.files, "reference.json") as Reference;
  return new Map(reference.features.map((one) => [one.name, middleOf(one, reference.rows)]));
}

function middleOf(reference: FeatureReference, rows: number): number {
  if (2 * reference.missing >= rows) return Number.NaN;
  return reference.kind === "number" ? quantileSorted(reference.sketch, 0.5) : (reference.categories[0] ?? Number.NaN);
}
