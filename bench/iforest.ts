// Placeholder of a benchmark to come.
import type { Bench } from "./bench.ts";
export const bench: Bench = { run: async () => ({}) };
