// The two ends of a push, and how what was moved is found again.
import type { Reporter, SnapshotStore } from "../../ports/ports.ts";
import type { RegistrySource, RegistryTarget } from "../../ports/registry.ts";

export interface PushPorts {
  readonly source: RegistrySource;
  readonly target: RegistryTarget;
  readonly mappings: SnapshotStore;
  readonly report: Reporter;
}

/** What was moved now, and what was there from an earlier push. */
export interface Moved {
  readonly moved: number;
  readonly there: number;
}

/** Tag of what was pushed: a run has the id it had, a version its run and number. By it a later push finds them, whatever they are called now. */
export const PUSHED_FROM = "sentinel.pushed_from";
