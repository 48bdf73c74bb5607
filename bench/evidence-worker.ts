// A thread of `bench -- evidence`: follows its share of the simulated candidates.
import { parentPort, workerData } from "node:worker_threads";
import type { PromotionPolicy } from "../src/evidence/promotion.ts";
import { follow } from "./evidence-path.ts";
import type { World } from "./evidence-world.ts";

/** What a thread is given as its `workerData`; it answers with a {@link Path} for each seed. */
export interface EvidenceTask {
  readonly seeds: readonly number[];
  readonly world: World;
  /** What the candidate truly gains in average precision. */
  readonly truth: number;
  readonly mode: PromotionPolicy["mode"];
}

const { seeds, ...given } = workerData as EvidenceTask;
parentPort?.postMessage(seeds.map((seed) => follow(seed, given)));
