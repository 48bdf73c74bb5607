// Section `shadow`: how much of the traffic candidates score, and how long they may take.
import { duration, share, whole } from "./kind.ts";
import { key, section } from "./section.ts";

export const SHADOW = section({
  sample: key(share, { default: 1, means: "Share of the traffic that candidates score." }),
  timeout: key(duration({ from: "1ms", to: "1h" }), {
    default: "250ms",
    means: "A batch of the candidate that takes longer is given up and counted.",
  }),
  queue_max: key(whole({ from: 1, to: 1_000_000 }), {
    default: 10_000,
    means: "Transactions waiting for the candidate, at most; what does not fit is counted, not scored.",
  }),
});
