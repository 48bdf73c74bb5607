// The door of explain/: exact attributions of a score, the reasons and sentences made of them, and vectors of the past.
export {
  differenceOf,
  type Explanation,
  type ExplanationDifference,
  explainVector,
} from "./explain/attribution.ts";
export { type Reason, reasonsOf, sentencesOf } from "./explain/reasons.ts";
export { checkJudged, translate } from "./explain/vector.ts";
