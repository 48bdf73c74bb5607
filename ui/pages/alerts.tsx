// Alerts: what was flagged, newest first, by filters that are part of the address; page after page over millions.
import { type Answer, ask, urlOf } from "../api.ts";
import { money, score } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Choice, Empty, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Icon } from "../parts/icon.tsx";
import { type Column, List } from "../parts/list.tsx";
import { NumberFilter, numberIn } from "../parts/number-filter.tsx";
import { PagerButtons, usePager } from "../parts/pager.tsx";
import { go, hrefOf, setQuery, usePlace } from "../route.ts";
import { useDesk } from "../session.ts";
import { AlertDrawer } from "./alert.tsx";

type Alert = Answer<"GET /api/alerts">[number];

const PAGE_ROWS = 50;
/** The first page is read again so often; a later one stands still. */
const EVERY_MS = 5000;
const HOUR_MS = 3_600_000;
const SINCE = [
  ["1h", "1 h"],
  ["24h", "24 h"],
  ["7d", "7 d"],
  ["", "All"],
] as const;
const SINCE_MS: Readonly<Record<string, number>> = { "1h": HOUR_MS, "24h": 24 * HOUR_MS, "7d": 168 * HOUR_MS };
const SEVERITIES = [
  ["", "All"],
  ["critical", "Critical"],
  ["warning", "Warning"],
  ["info", "Info"],
] as const;

/** The filter of an address, as the API has it. */
function filterOf(query: Readonly<Record<string, string>>) {
  const { severity, decision, since = "", entity, rule, q, min, max, pipeline } = query;
  const back = SINCE_MS[since];
  // Whole minutes, so that the same question is asked for a while.
  const from =
    back === undefined ? undefined : new Date(Math.floor((Date.now() - back) / 60_000) * 60_000).toISOString();
  return {
    pipeline: pipeline === "" ? undefined : pipeline,
    severity: severity as Alert["severity"] | undefined,
    decision: decision as Alert["decision"] | undefined,
    entity,
    rule: numberIn(rule),
    q,
    from,
    min_amount: numberIn(min),
    max_amount: numberIn(max),
  };
}

export function Alerts() {
  const { query, id } = usePlace();
  const { pipelines } = useDesk();
  const cursor = query.cursor;
  const filter = filterOf(query);
  const asked = { ...filter, limit: PAGE_ROWS, cursor };
  const page = useLoaded(
    JSON.stringify(asked),
    (signal) => ask("GET /api/alerts", { query: asked, signal }),
    cursor === undefined ? { everyMs: EVERY_MS } : {},
  );
  const pager = usePager(page.value?.next ?? null);
  const filtered = (change: Readonly<Record<string, string | undefined>>): void =>
    setQuery({ ...change, cursor: undefined });
  const open = (alert: Alert): void => go(hrefOf("alerts", { id: alert.id, query }));
  const isFiltered = Object.keys(query).some((name) => name !== "pipeline" && name !== "cursor");
  return (
    <>
      <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          class="input search"
          placeholder="Search transactions and rules"
          aria-label="Search transactions and rules"
          maxLength={200}
          value={query.q ?? ""}
          onChange={(event) => filtered({ q: event.currentTarget.value })}
        />
        <Choice
          label="Severity"
          words={SEVERITIES}
          chosen={(query.severity ?? "") as "" | "critical"}
          onChoose={(severity) => filtered({ severity })}
        />
        <Choice
          label="Time"
          words={SINCE}
          chosen={(query.since ?? "") as "" | "1h"}
          onChoose={(since) => filtered({ since })}
        />
        <select
          class="select"
          aria-label="Decision"
          value={query.decision ?? ""}
          onChange={(event) => filtered({ decision: event.currentTarget.value })}
        >
          <option value="">Any decision</option>
          <option value="review">Review</option>
          <option value="block">Block</option>
          <option value="approve">Approve</option>
        </select>
        <NumberFilter
          label="Least amount"
          placeholder="Amount ≥"
          value={query.min}
          onChange={(min) => filtered({ min })}
        />
        <NumberFilter label="Largest amount" placeholder="≤" value={query.max} onChange={(max) => filtered({ max })} />
        <input
          class="input short rest"
          placeholder="Entity"
          aria-label="Entity"
          maxLength={200}
          value={query.entity ?? ""}
          onChange={(event) => filtered({ entity: event.currentTarget.value })}
        />
        {query.rule === undefined ? null : (
          <button type="button" class="button small" onClick={() => filtered({ rule: undefined })}>
            rule {query.rule} <Icon name="close" />
          </button>
        )}
        {isFiltered ? (
          <a class="button bare small" href={hrefOf("alerts", { query: { pipeline: query.pipeline } })}>
            Clear
          </a>
        ) : null}
        <span class="grow" />
        <a
          class="button"
          href={urlOf("GET /api/alerts", { query: { ...filter, format: "csv" } })}
          download="alerts.csv"
          title="All alerts of this filter"
        >
          <Icon name="download" /> CSV
        </a>
      </form>
      <Panel
        title="Alerts"
        flush
        hint={pager.place ?? "newest first"}
        json={urlOf("GET /api/alerts", { query: asked })}
      >
        <Shown of={page}>
          {({ body }) =>
            body.length === 0 ? (
              <Empty title={isFiltered ? "No alert matches" : "No alerts yet"}>
                <span>
                  {isFiltered
                    ? "Make the filter wider, or clear it."
                    : "An alert appears here within a second of its transaction."}
                </span>
              </Empty>
            ) : (
              <List
                label="Alerts"
                rows={body}
                columns={columnsOf(pipelines.length > 1)}
                keyOf={({ id: one }) => String(one)}
                opened={id}
                onOpen={open}
              />
            )
          }
        </Shown>
      </Panel>
      <PagerButtons of={pager} words={["Newer", "Older"]} keyed />
      {id === "" ? null : <AlertDrawer key={id} id={id} onClose={() => go(hrefOf("alerts", { query }))} />}
    </>
  );
}

function columnsOf(several: boolean): readonly Column<Alert>[] {
  return [
    { name: "Time", show: ({ alert_timestamp: at }) => <When at={at} />, kind: "fit" },
    { name: "Severity", show: ({ severity }) => <Tag word={severity} />, kind: "fit" },
    {
      name: "Why",
      show: ({ rule_description: why, rules }) => (
        <>
          <Foreign text={why} max={200} />
          {rules.length > 1 ? <span class="faint"> +{rules.length - 1}</span> : null}
        </>
      ),
      kind: "clip",
    },
    { name: "Decision", show: ({ decision }) => <Tag word={decision} />, kind: "fit rest" },
    { name: "Amount", show: ({ amount }) => money(amount), kind: "num fit" },
    { name: "Score", show: ({ score: own }) => score(own), kind: "num fit rest" },
    { name: "Entity", show: ({ entity }) => <Foreign text={entity} max={40} mono />, kind: "short rest" },
    { name: "Transaction", show: ({ transaction_id: id }) => <Foreign text={id} max={40} mono />, kind: "short rest" },
    ...(several
      ? [{ name: "Pipeline", show: ({ pipeline }: Alert) => <Foreign text={pipeline} max={30} />, kind: "fit rest" }]
      : []),
  ];
}
