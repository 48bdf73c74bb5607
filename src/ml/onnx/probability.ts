// Calibration as standard operators: from margins to probabilities, in doubles, by the formulas of `calibrate`.
import type { Calibration } from "../calibration/apply.ts";
import { FLOAT, type Graph, INT64 } from "./graph.ts";

/** Probabilities [N, 1] of margins [N, 1], both doubles. */
export function addProbability(graph: Graph, calibration: Calibration, margin: string): string {
  switch (calibration.kind) {
    case "none":
      return graph.apply("Sigmoid", [margin]);
    case "beta":
      return addBeta(graph, calibration, margin);
    case "isotonic":
      return addIsotonic(graph, calibration, margin);
  }
}

/** sigmoid(c − a·softplus(−m) + b·softplus(m)), where softplus(±m) = max(±m, 0) + ln(1 + e^−|m|). */
function addBeta(graph: Graph, fit: Extract<Calibration, { kind: "beta" }>, margin: string): string {
  const { apply, constant } = graph;
  const zero = constant(0);
  const negative = apply("Neg", [margin]);
  const decay = apply("Exp", [apply("Neg", [apply("Abs", [margin])])]);
  const tail = apply("Log", [apply("Add", [constant(1), decay])]);
  const below = apply("Mul", [constant(fit.a), apply("Add", [apply("Max", [negative, zero]), tail])]);
  const above = apply("Mul", [constant(fit.b), apply("Add", [apply("Max", [margin, zero]), tail])]);
  return apply("Sigmoid", [apply("Add", [apply("Sub", [constant(fit.c), below]), above])]);
}

/** The line between the knots around a margin, found by counting the inner knots that are not above it. */
function addIsotonic(graph: Graph, { x, y }: Extract<Calibration, { kind: "isotonic" }>, margin: string): string {
  const { apply, constant } = graph;
  const last = x.length - 1;
  const tail = (knot: number): string => {
    const shifted = apply("Add", [constant(logit(y[knot])), apply("Sub", [margin, constant(x[knot])])]);
    return apply("Sigmoid", [shifted]);
  };
  const under = apply("Min", [constant(y[0]), tail(0)]);
  const over = apply("Max", [constant(y[last]), tail(last)]);
  const isUnder = apply("LessOrEqual", [margin, constant(x[0])]);
  const isOver = apply("LessOrEqual", [constant(x[last]), margin]);
  const between = addLines(graph, { x, y }, margin);
  return apply("Where", [isUnder, under, apply("Where", [isOver, over, between])]);
}

function addLines(
  graph: Graph,
  knots: { readonly x: readonly number[]; readonly y: readonly number[] },
  margin: string,
): string {
  const { apply, constant } = graph;
  // One knot has no line; any that can be computed will do, for the tails meet in the knot.
  const x = knots.x.length > 1 ? knots.x : [knots.x[0], knots.x[0] + 1];
  const y = knots.x.length > 1 ? knots.y : [knots.y[0], knots.y[0]];
  // +Infinity is never reached; without it two knots would leave an empty list.
  const inner = constant([...x.slice(1, -1), Number.POSITIVE_INFINITY]);
  const passed = apply("Cast", [apply("LessOrEqual", [inner, margin])], { to: { number: FLOAT } });
  const line = apply("Cast", [apply("ReduceSum", [passed, graph.indices([1])])], { to: { number: INT64 } });
  const at = (values: readonly number[]): string => apply("Gather", [constant(values), line]);
  const [xLow, xHigh, yLow, yHigh] = [at(x.slice(0, -1)), at(x.slice(1)), at(y.slice(0, -1)), at(y.slice(1))];
  const part = apply("Div", [apply("Sub", [margin, xLow]), apply("Sub", [xHigh, xLow])]);
  const rise = apply("Mul", [apply("Sub", [yHigh, yLow]), part]);
  return apply("Min", [yHigh, apply("Add", [yLow, rise])]);
}

function logit(p: number): number {
  return Math.log(p / (1 - p));
}
