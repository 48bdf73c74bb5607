// Section `serve`: limits of the server, and how soon it notices a promotion.
import { duration, whole } from "./kind.ts";
import { key, section } from "./section.ts";

export const SERVE = section({
  // Node's timers end at 2^31 ms: a longer one fires at once, over and over.
  poll: key(duration({ from: "1ms", to: "1d" }), { default: "1s", means: "How often the aliases are looked up." }),
  body_max_bytes: key(whole({ from: 1024, to: 104_857_600, unit: "bytes" }), {
    default: 1_048_576,
    means: "Longest request body.",
  }),
  batch_max: key(whole({ from: 1, to: 100_000 }), { default: 1000, means: "Transactions in one batch request." }),
});
