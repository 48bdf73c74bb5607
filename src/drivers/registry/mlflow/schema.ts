// What an MLflow server answers, as far as it is read here, and its lists of keys and values.

export interface Pair {
  readonly key: string;
  readonly value: string;
}

export interface RunAnswer {
  readonly info: {
    readonly run_id: string;
    readonly experiment_id: string;
    readonly run_name?: string;
    readonly status?: string;
    readonly start_time?: number;
    readonly end_time?: number;
    readonly lifecycle_stage?: string;
    readonly artifact_uri?: string;
  };
  readonly data?: {
    readonly metrics?: readonly { readonly key: string; readonly value: number | string }[];
    readonly params?: readonly Pair[];
    readonly tags?: readonly Pair[];
  };
  /** Models that the run logged (MLflow 3). */
  readonly outputs?: { readonly model_outputs?: readonly { readonly model_id: string }[] };
}

export interface Experiment {
  readonly experiment_id: string;
  readonly lifecycle_stage?: string;
  readonly tags?: readonly Pair[];
}

export interface RunsAnswer {
  readonly runs?: readonly RunAnswer[];
  readonly next_page_token?: string;
}

export interface VersionAnswer {
  readonly name: string;
  readonly version: string;
  readonly creation_timestamp?: number;
  readonly description?: string;
  readonly source?: string;
  readonly run_id?: string;
  readonly status?: string;
  readonly tags?: readonly Pair[];
}

export interface LoggedModel {
  readonly info: {
    readonly model_id: string;
    readonly name?: string;
    readonly artifact_uri: string;
    /** The run that logged it. */
    readonly source_run_id?: string;
  };
}

export function pairsOf(record: Readonly<Record<string, string>>): Pair[] {
  return Object.entries(record).map(([key, value]) => ({ key, value }));
}

/** Without a prototype's members: a key may be called __proto__. */
export function recordOf(pairs: readonly Pair[] | undefined): Record<string, string> {
  return Object.fromEntries((pairs ?? []).map(({ key, value }) => [key, value ?? ""]));
}
