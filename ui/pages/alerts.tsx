// Alerts: what was flagged, newest first, by filters that are part of the address; page after page over millions.
import { useState } from "preact/hooks";
import { type Answer, ask, urlOf } from "../api.ts";
import { money, score } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../load.ts";
import { Choice, Empty, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Icon } from "../parts/icon.tsx";
import { type Column, List } from "../parts/list.tsx";
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
    rule: rule === undefined ? undefined : Number(rule),
    q,
    from,
    min_amount: numberOf(min),
    max_amount: numberOf(max),
  };
}

const numberOf = (text: string | undefined): number | undefined =>
  text === undefined || text.trim() === "" || !Number.isFinite(Number(text)) ? undefined : Number(text);

export function Alerts() {
  const { query, id } = usePlace();
  const { pipelines } = useDesk();
  const [trail, setTrail] = useState<readonly string[]>([]);
  const cursor = query.cursor;
  const filter = filterOf(query);
  const asked = { ...filter, limit: PAGE_ROWS, cursor };
  const page = useLoaded(
    JSON.stringify(asked),
    (signal) => ask("GET /api/alerts", { query: asked, signal }),
    cursor === undefined ? { everyMs: EVERY_MS } : {},
  );
  const next = page.value?.next ?? null;
  const filtered = (change: Readonly<Record<string, string | undefined>>): void => {
    setTrail([]);
    setQuery({ ...change, cursor: undefined });
  };
  const older = (): void => {
    if (next === null) return;
    setTrail([...trail, cursor ?? ""]);
    setQuery({ cursor: next });
  };
  const newer = (): void => {
    setQuery({ cursor: trail.at(-1) });
    setTrail(trail.slice(0, -1));
  };
  useKeys([
    { key: "n", what: "Older page", run: older },
    { key: "p", what: "Newer page", run: () => cursor !== undefined && newer() },
  ]);
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
        <input
          class="input short rest"
          type="number"
          step="any"
          placeholder="Amount ≥"
          aria-label="Least amount"
          value={query.min ?? ""}
          onChange={(event) => filtered({ min: event.currentTarget.value })}
        />
        <input
          class="input short rest"
          type="number"
          step="any"
          placeholder="≤"
          aria-label="Largest amount"
          value={query.max ?? ""}
          onChange={(event) => filtered({ max: event.currentTarget.value })}
        />
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
          title="The newest 10,000 of this filter"
        >
          <Icon name="download" /> CSV
        </a>
      </form>
      <Panel
        title="Alerts"
        flush
        hint={cursor === undefined ? "newest first" : `page ${trail.length + 1}`}
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
      <div class="row even" style={{ marginTop: "10px" }}>
        <button type="button" class="button" disabled={cursor === undefined} onClick={newer}>
          Newer <kbd>p</kbd>
        </button>
        <button type="button" class="button" disabled={next === null} onClick={older}>
          Older <kbd>n</kbd>
        </button>
      </div>
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
