// Early stopping: how long the validation loss has not improved.

export interface Stopping {
  /** Takes a round's validation loss; true when training should end. */
  shouldStop(round: number, loss: number): boolean;
  /** The round with the lowest loss, the earliest of equals; 1 before any. */
  bestRound(): number;
}

/** `patience` rounds without improvement are allowed; 0 never stops. */
export function makeStopping(patience: number): Stopping {
  let best = 1;
  let lowest = Number.POSITIVE_INFINITY;
  return {
    shouldStop(round, loss) {
      if (loss < lowest) {
        lowest = loss;
        best = round;
      }
      return patience > 0 && round - best >= patience;
    },
    bestRound: () => best,
  };
}
