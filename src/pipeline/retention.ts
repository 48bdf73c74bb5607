// Section `retention`: how many days each kind of record stays.
import { number } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";

const days = () => number({ from: 1, to: 36_500 });

export const RETENTION = section({
  log: key(days(), {
    means:
      "Days after which predictions leave the log, with their labels and shadows; `log.retention.days` where it is not written. A server does it by itself.",
  }),
  archive: key(days(), {
    means: "Days after which days leave the archive, by when transactions happened. `sentinel retention` does it.",
  }),
  reports: key(days(), { means: "Days after which files leave `models/reports/`. `sentinel retention` does it." }),
  alerts: key(days(), {
    means:
      "Days that the store keeps alerts. It is one for all pipelines: the longest of theirs counts, and `SENTINEL_ALERTS_KEEP` where that is shorter.",
  }),
  audit: key(days(), { means: "Days that it keeps entries of the audit; as for alerts, with `SENTINEL_AUDIT_KEEP`." }),
  ledger: key(days(), { means: "Days that it keeps a gateway's ledger; the longest of all pipelines counts." }),
});

export type RetentionDays = ValueOf<typeof RETENTION.fields>;
