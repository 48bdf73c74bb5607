// The door of states/: the feature state behind an engine, this process's own or shared, and what a replay needs to know of its past.
import type { Ports } from "../ports/ports.ts";
import type { OnlineStates } from "./states/contract.ts";
import { WarmStates } from "./states/own.ts";
import { SharedStates } from "./states/shared.ts";

export { arrivalOf, arrivals, type LogArrival, transactionOf } from "./states/catch-up.ts";
export type {
  OnlineStates,
  PredictionDraft,
  StateResult,
  WarmState,
} from "./states/contract.ts";
export { type Era, readEras } from "./states/eras.ts";
export type { StateOrigin } from "./states/origin.ts";
export { isLearned, WarmStates } from "./states/own.ts";
export { anchorsOf, loadState, saveTrainingState } from "./states/saved.ts";
export { drainPending, generationOf, readLives, SharedStates } from "./states/shared.ts";

/** The process's own states, or those it shares with others where the ports have a shared store. Errors: state.*, log.unwritable. */
export async function openStates(
  ports: Ports,
  options: { readonly pipeline: string; readonly onFault: (error: string) => void },
): Promise<OnlineStates> {
  const { pipeline, onFault } = options;
  if (ports.shared === undefined) return new WarmStates(ports, { pipeline });
  return SharedStates.open(ports, await ports.shared(), { pipeline, onFault });
}
