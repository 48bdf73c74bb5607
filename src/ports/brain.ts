// The brain port: a server that scores, as a gateway calls it.

/** What a brain said: its answer, as POST /predict has it; or why it takes no such transaction (400, 409, 413, 422), a problem document. */
export type BrainReply =
  | { readonly kind: "answer"; readonly answer: Readonly<Record<string, unknown>> }
  | { readonly kind: "refusal"; readonly status: number; readonly text: string };

export interface Brain {
  /** For people and for the ledger. */
  readonly where: string;
  /**
   * Scores a transaction; the same one again gets the same answer. Rejects with a plain Error when the brain cannot be reached, does not answer, says
   * that it cannot (429, 5xx) or that this caller may not ask (another 4xx), or when `signal` says that nobody waits any more.
   */
  score(body: string, given: { readonly requestId: string; readonly signal: AbortSignal }): Promise<BrainReply>;
}

/** Where the brains are. */
export interface Brains {
  /** As they are known now; the same brain is the same object each time. */
  all(): readonly Brain[];
  /** Looks the names up (again), and goes on doing so. Never throws: what was known stays. */
  open(): Promise<void>;
  close(): void;
}
