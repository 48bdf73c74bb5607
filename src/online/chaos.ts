// Chaos: on request a server answers a share of its transactions late and fails another, so that what stands before it can be tried.
import { SentinelError } from "../core/errors.ts";
import type { Random } from "../core/random.ts";

/** What is asked for; never by default. */
export interface ChaosPlan {
  /** Shares of the transactions, drawn one by one: those answered `delayMs` late, and those failed. Together at most 1. */
  readonly slow: number;
  readonly fail: number;
  readonly delayMs: number;
}

/** What was done to a transaction. */
export type ChaosFault = "slow" | "failed";

/** Answers that wait out their delay; beyond them the others are answered at once, and count as such. */
const WAITING_MAX = 10_000;

export class Chaos {
  readonly plan: ChaosPlan;
  private readonly random: Random;
  private waiting = 0;

  /** Errors: cli.usage for shares outside 0 to 1. */
  constructor(plan: ChaosPlan, random: Random) {
    const { slow, fail, delayMs } = plan;
    if (!(slow >= 0 && fail >= 0 && slow + fail <= 1 && slow + fail > 0 && delayMs >= 0)) {
      throw new SentinelError("cli.usage", `chaos of ${slow} slow and ${fail} failed answers is no share of them`, {
        hint: "--chaos-slow 0.1 --chaos-fail 0.05: each from 0 to 1, together more than 0 and at most 1",
      });
    }
    this.plan = plan;
    this.random = random;
  }

  /** Runs `answer` at once, late or not at all; `onFault` hears of it before. Throws `server.chaos`. */
  around<T>(answer: () => T | Promise<T>, onFault: (fault: ChaosFault) => void): T | Promise<T> {
    const { slow, fail, delayMs } = this.plan;
    const draw = this.random.uniform(0, 1);
    if (draw < fail) {
      onFault("failed");
      throw new SentinelError("server.chaos", `this server fails ${percent(fail)} of its answers on purpose`, {
        hint: "start it without --chaos-fail; or send the transaction again",
      });
    }
    if (draw >= fail + slow || this.waiting >= WAITING_MAX) return answer();
    onFault("slow");
    this.waiting++;
    return new Promise<void>((resolve) => setTimeout(resolve, delayMs))
      .finally(() => {
        this.waiting--;
      })
      .then(answer);
  }

  /** One sentence, for whoever operates the server. */
  get words(): string {
    const { slow, fail, delayMs } = this.plan;
    return `CHAOS: ${percent(slow)} of the answers come ${delayMs} ms late and ${percent(fail)} fail, on purpose`;
  }
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(3))} %`;
}
