// What the labels of the metrics mean and what unit each is in, for docs/metrics.md; a label that is not here cannot be used.

/** Label names, and what their values are. */
export const LABELS = {
  age: "how long a case has been open: `day` less than one, `week` less than seven days, `month` less than thirty, `older`",
  disposition: "what a case turned out to be: `fraud`, `genuine` or `unknown`",
  severity: "`critical`, `warning` or `info`",
  target: "a receiver of `notifications.yaml`, by its name",
  fault: "what was done to an answer on purpose: `slow` or `failed`",
  field: "a field that the champion's features read, by its canonical name",
  how: "how a field did not come: `absent`, `null`, or as `text` where a number is read",
  brain: "address of a server that a gateway asks",
  breaker: "`champion`, or the version of a candidate",
  bundle: "SHA-256 over the bundle's files",
  by: "who decided: `model`, `rule`, `list`, or `policy` where scoring failed; of a gateway's answer: `brain`, `policy`, or `repeat` from the ledger",
  code: "code of the error, as in problem documents",
  decision: "`approve`, `review` or `block`",
  kind: "`prediction` or `label`; of the process: type of resource, collection or heap space",
  major: "of Node's version",
  minor: "of Node's version",
  outcome:
    "of a request: `ok`, `refused` (4xx), `unavailable` (503, 504), `failed` (5xx); of a shadow: `scored` or why it was missed; of a label: `accepted` or the code of the refusal",
  partition: "number of a partition of a stream's topic",
  patch: "of Node's version",
  tenant: "name of the tenant; absent where it is the first one",
  quota: "the limit: `requests`, `pipelines` or `rules`",
  pipeline: "name of the pipeline; absent where a request asks for none, or for one that is not there",
  rule: "id of a rule",
  role: "`champion` or `shadow`",
  route:
    "path of the route as in `/openapi.json`, without the `/pipelines/{pipeline}` that may stand before it; of a call over gRPC the path of its method, such as `/sentinel.v1.Sentinel/Score`; `(none)` for what no route takes: an unknown path or method, and what is no request",
  space: "space of the heap",
  stage: "`live`: the rule may decide; `shadow`: it decides nothing",
  status:
    "HTTP status; of a call over gRPC that of the same error, 499 where its client went away, 504 where its deadline came first",
  type: "type of the resource",
  why: "why no server answered a gateway: `no-brain`, `circuit-open`, `too-slow` or `failed`",
  version:
    "version of the model (of `sentinel_nodejs_version_info`: of Node); `other` beyond the first 50 that one process sees",
} as const;

export type Label = keyof typeof LABELS;

/** The units of Prometheus' conventions, by the ending of a name. */
const ENDINGS: readonly (readonly [RegExp, string])[] = [
  [/_seconds(_total|_p\d+|_min|_max|_mean|_stddev)?$/, "seconds"],
  [/_bytes(_total)?$/, "bytes"],
  [/_ratio$/, "share from 0 to 1"],
  [/_score$/, "share from 0 to 1"],
  [/_info$/, "always 1"],
  [
    /_cases_open$|_overdue$|_streams_open$|_bodies_coming$|_total$|_queue$|_in_flight$|_fds$|_broken$|_records$|_waiting$/,
    "count",
  ],
  [/_(resources|handles|requests)$/, "count"],
  [/_chaos$|_ready$|_up$|_open$|_warm$|_fault$/, "1 yes, 0 no"],
];

/** The unit of a metric by its name; null where the name says none, which a test refuses. */
export function unitOf(name: string): string | null {
  return ENDINGS.find(([ending]) => ending.test(name))?.[1] ?? null;
}
