// Overview: what is decided now, what was flagged, what is known of it, and whether everything is well.
import { useMemo } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { count, counted, duration, money, percent, seen, short } from "../format.ts";
import { type Tick, useLive } from "../live.ts";
import { useLoaded } from "../load.ts";
import { Empty, Foreign, Panel, Shown, Tag, Tile } from "../parts/basic.tsx";
import { Rows } from "../parts/list.tsx";
import { Legend, Plot, type Series } from "../parts/plot.tsx";
import { hrefOf } from "../route.ts";
import { useDesk } from "../session.ts";

type Figures = Answer<"GET /api/overview">;
type Decisions = Figures["decisions"];
type Days = Answer<"GET /api/days">;

const EVERY_MS = 10_000;
const DAYS_EVERY_MS = 60_000;
const MINUTE_MS = 60_000;

export function Overview() {
  const { pipeline } = useDesk();
  const query = pipeline === "" ? {} : { pipeline };
  const figures = useLoaded(`overview ${pipeline}`, (signal) => get("GET /api/overview", { query, signal }), {
    everyMs: EVERY_MS,
  });
  const days = useLoaded(`days ${pipeline}`, (signal) => get("GET /api/days", { query, signal }), {
    everyMs: DAYS_EVERY_MS,
  });
  const { tick, isOpen } = useLive(pipeline);
  const json = urlOf("GET /api/overview", { query });
  return (
    <Shown of={figures}>
      {(value) => {
        const decisions = tick === null ? value.decisions : joined(value.decisions, tick.decisions);
        return (
          <div class="stack">
            <Tiles figures={value} decisions={decisions} days={days.value} pipeline={pipeline} />
            <div class="grid">
              <Panel
                title="Decisions per minute"
                wide="w8"
                json={json}
                rows={hrefOf("alerts", { query })}
                hint={
                  <span class="live-dot">
                    <i class={isOpen ? "dot good" : "dot"} />
                    {isOpen ? "live" : "not live"}
                  </span>
                }
              >
                <DecisionsPlot of={decisions} />
              </Panel>
              <Panel
                title="Alerts and cases"
                wide="w4"
                json={json}
                rows={hrefOf("alerts", { query: { ...query, since: "24h" } })}
              >
                <div class="stack">
                  <Severities of={value.alerts.last_24h} pipeline={pipeline} />
                  <OpenCases pipeline={pipeline} />
                </div>
              </Panel>
              <Panel
                title="Alerts by hour"
                wide="w6"
                json={json}
                rows={hrefOf("alerts", { query: { ...query, since: "24h" } })}
                hint={value.promotions.length === 0 ? undefined : "dashed: a new champion"}
              >
                <AlertsPlot figures={value} />
              </Panel>
              <Panel
                title="Fraud rate by transaction date"
                wide="w6"
                json={urlOf("GET /api/days", { query })}
                hint="shaded: labels still come"
              >
                <Shown of={days}>{(of) => <RatePlot of={of} />}</Shown>
              </Panel>
              <Panel title="Health" flush json={json}>
                <Health of={value.health} />
              </Panel>
            </div>
          </div>
        );
      }}
    </Shown>
  );
}

/** Minutes of the answer with the newest of the stream in their places. */
function joined(decisions: Decisions, newest: Tick["decisions"]): Decisions {
  const from = Date.parse(decisions.from);
  const shift = (Date.parse(newest.from) - from) / MINUTE_MS;
  const length = decisions.counts.approve.length;
  const added = Math.max(0, shift + newest.counts.approve.length - length);
  const put = (name: "approve" | "review" | "block"): readonly number[] => {
    const values = [...decisions.counts[name].slice(added), ...new Array<number>(Math.min(added, length)).fill(0)];
    for (const [place, value] of newest.counts[name].entries()) {
      const at = shift + place - added;
      if (at >= 0 && at < length) values[at] = value;
    }
    return values;
  };
  return {
    from: new Date(from + added * MINUTE_MS).toISOString(),
    counts: { approve: put("approve"), review: put("review"), block: put("block") },
  };
}

function Tiles({
  figures,
  decisions,
  days,
  pipeline,
}: {
  readonly figures: Figures;
  readonly decisions: Decisions;
  readonly days: Days | null;
  readonly pipeline: string;
}) {
  const { approve, review, block } = decisions.counts;
  // The running minute is not over: the one before says how much comes.
  const at = approve.length - 2;
  const perMinute = approve[at] + review[at] + block[at];
  const { critical, warning, info } = figures.alerts.last_24h;
  const sum = (values: readonly number[]): number => values.reduce((one, other) => one + other, 0);
  const all = sum(approve) + sum(review) + sum(block);
  const known = (days?.days ?? []).filter(({ mature, rate }) => mature && rate !== null);
  const frauds = sum(known.map(({ frauds: own }) => own));
  const judged = sum(known.map(({ frauds: own, rate }) => (rate === null || rate === 0 ? 0 : own / rate)));
  const caught = sum(known.map(({ caught: own }) => own));
  const query = pipeline === "" ? {} : { pipeline };
  const unwell = figures.health.filter(({ status }) => status !== "ready" && status !== "paused").length;
  return (
    <div class="tiles">
      <Tile name="Decisions" figure={short(perMinute)} unit="/ min">
        <span>{short(all)} in the last hour</span>
      </Tile>
      <Tile name="Flagged, last hour" figure={all === 0 ? "–" : percent((sum(review) + sum(block)) / all)}>
        <span>{count(sum(review))} review</span>
        <span>{count(sum(block))} block</span>
      </Tile>
      <Tile
        name="Alerts, 24 h"
        figure={short(critical + warning + info)}
        href={hrefOf("alerts", { query: { ...query, since: "24h" } })}
      >
        <span>{count(critical)} critical</span>
        <span>{short(figures.alerts.total)} ever</span>
      </Tile>
      <Tile
        name="Money flagged, 24 h"
        figure={short(figures.flagged.amount)}
        href={hrefOf("alerts", { query: { ...query, since: "24h" } })}
      >
        <span>
          {figures.flagged.whole
            ? `${money(figures.flagged.alerts === 0 ? null : figures.flagged.amount / figures.flagged.alerts)} on average`
            : "of the newest 10,000 alerts"}
        </span>
      </Tile>
      <Tile name="Fraud rate, mature" figure={judged === 0 ? "–" : percent(frauds / judged)}>
        <span>
          {frauds === 0 ? `${known.length} days` : `${percent(caught / frauds)} of ${count(frauds)} frauds caught`}
        </span>
      </Tile>
      <Tile name="Health" figure={unwell === 0 ? "Fine" : `${unwell} unwell`}>
        <span>
          {figures.health.length} {figures.health.length === 1 ? "pipeline" : "pipelines"}
        </span>
      </Tile>
    </div>
  );
}

function DecisionsPlot({ of }: { readonly of: Decisions }) {
  const from = Date.parse(of.from);
  const times = useMemo(
    () => of.counts.approve.map((_, place) => from + place * MINUTE_MS),
    [from, of.counts.approve.length],
  );
  const { approve, review, block } = of.counts;
  const series: readonly Series[] = [
    { label: "Block", color: "plot-block", values: block, kind: "bars" },
    { label: "Review", color: "plot-review", values: review, kind: "bars" },
  ];
  const all: readonly Series[] = [
    {
      label: "All decisions",
      color: "plot-approve",
      values: approve.map((value, place) => value + review[place] + block[place]),
      kind: "area",
    },
  ];
  if (all[0].values.every((value) => value === 0)) {
    return (
      <Empty title="Nothing was decided in the last hour">
        <span>
          Send a transaction to <code>POST /predict</code>, and it appears here within a second.
        </span>
      </Empty>
    );
  }
  return (
    <div class="stack tight">
      <Plot
        label={`Decisions per minute of the last hour, ${all[0].values.at(-2)} in the last full one`}
        times={times}
        series={all}
        height={130}
      />
      <div class="row even">
        <Legend
          of={[
            ["All", "plot-approve"],
            ["Review", "plot-review"],
            ["Block", "plot-block"],
          ]}
        />
        <span class="faint">flagged, on a scale of its own</span>
      </div>
      <Plot label="Reviewed and blocked per minute" times={times} series={series} stacked height={96} />
    </div>
  );
}

function Severities({ of, pipeline }: { readonly of: Figures["alerts"]["last_24h"]; readonly pipeline: string }) {
  const all = of.critical + of.warning + of.info;
  if (all === 0) return <Empty title="No alerts in the last 24 hours" />;
  const words = ["critical", "warning", "info"] as const;
  return (
    <ul class="bars">
      {words.map((word) => (
        <li key={word}>
          <a
            href={hrefOf("alerts", {
              query: { severity: word, since: "24h", ...(pipeline === "" ? {} : { pipeline }) },
            })}
          >
            {word}
          </a>
          <span class="track" aria-hidden="true">
            <i style={{ width: `${(100 * of[word]) / all}%`, background: `var(--plot-${word})` }} />
          </span>
          <span class="num">{count(of[word])}</span>
        </li>
      ))}
    </ul>
  );
}

const AGES = [
  [0, "today"],
  [1, "1 day"],
  [2, "2 to 6 days"],
  [7, "a week +"],
] as const;

function OpenCases({ pipeline }: { readonly pipeline: string }) {
  const query = pipeline === "" ? {} : { pipeline };
  const { value } = useLoaded(`cases ${pipeline}`, (signal) => get("GET /api/cases/summary", { query, signal }), {
    everyMs: EVERY_MS,
  });
  if (value === null) return null;
  const rows = AGES.map(([from, name], place) => {
    const to = AGES[place + 1]?.[0] ?? Number.POSITIVE_INFINITY;
    const own = value.open_by_age.filter(({ days }) => days >= from && days < to);
    const of = (severity: string): number =>
      own.filter((one) => one.severity === severity).reduce((sum, one) => sum + one.count, 0);
    return { name, critical: of("critical"), warning: of("warning"), info: of("info") };
  });
  const most = Math.max(1, ...rows.map(({ critical, warning, info }) => critical + warning + info));
  return (
    <div class="stack tight">
      <div class="row even">
        <h3>Open cases by age</h3>
        <span class="faint">
          {count(value.open)} open,{" "}
          <span class={value.overdue > 0 ? "bad" : undefined}>{count(value.overdue)} overdue</span>
        </span>
      </div>
      <ul class="bars">
        {rows.map((row) => (
          <li key={row.name}>
            <a href={hrefOf("cases", { query })}>{row.name}</a>
            <span class="track" aria-hidden="true">
              {(["critical", "warning", "info"] as const).map((word) => (
                <i key={word} style={{ width: `${(100 * row[word]) / most}%`, background: `var(--plot-${word})` }} />
              ))}
            </span>
            <span class="num">{count(row.critical + row.warning + row.info)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function AlertsPlot({ figures }: { readonly figures: Figures }) {
  const { hours } = figures.alerts;
  const times = hours.map(({ hour }) => Date.parse(hour));
  const words = ["critical", "warning", "info"] as const;
  const series = words.map(
    (word): Series => ({ label: word, color: `plot-${word}`, values: hours.map((one) => one[word]), kind: "bars" }),
  );
  const marks = figures.promotions.map(({ at, to, pipeline }) => ({
    at: Date.parse(at),
    label: `${figures.health.length > 1 ? `${pipeline} ` : ""}v${to ?? "–"}`,
  }));
  return (
    <div class="stack tight">
      <Plot label="Alerts by hour and severity" times={times} series={series} stacked height={180} marks={marks} />
      <Legend of={words.map((word) => [word, `plot-${word}`] as const)} />
    </div>
  );
}

function RatePlot({ of }: { readonly of: Days }) {
  if (of.days.length === 0) return <Empty title="No transactions yet" />;
  const times = of.days.map(({ day }) => Date.parse(day));
  const series: readonly Series[] = [
    {
      label: "Fraud rate",
      color: "plot-rate",
      values: of.days.map(({ rate }) => rate),
      // What is known of young days is too little for an interval.
      low: of.days.map(({ low, mature }) => (mature ? low : null)),
      high: of.days.map(({ high, mature }) => (mature ? high : null)),
      kind: "line",
    },
  ];
  return (
    <div class="stack tight">
      <Plot
        label="Share of transactions known to be fraud, by day, with 95 % intervals"
        times={times}
        series={series}
        height={180}
        shadeFrom={of.mature_before === null ? null : Date.parse(of.mature_before)}
        format={percent}
        daily
      />
      <Legend of={[["Known fraud, with 95 % interval", "plot-rate"]]} />
    </div>
  );
}

const since = (age: number | null): string => (age === null ? "–" : `${duration(age)} ago`);

function Health({ of }: { readonly of: Figures["health"] }) {
  if (of.length === 0) return <Empty title="No pipelines yet" />;
  return (
    <Rows
      label="Health of the pipelines"
      rows={of}
      keyOf={({ pipeline }) => pipeline}
      columns={[
        { name: "Pipeline", show: ({ pipeline }) => <Foreign text={pipeline} max={40} />, kind: "fit strong" },
        {
          name: "State",
          show: ({ status, reason }) => (
            <span class="row">
              <Tag word={status} />
              {reason === null ? null : <Foreign text={reason} max={80} />}
            </span>
          ),
          kind: "fit",
        },
        {
          name: "Champion",
          show: ({ version, model }) =>
            version === null ? <span class="faint">{model === "none" ? "rules alone" : "none"}</span> : <>v{version}</>,
          kind: "fit",
        },
        { name: "Feature state", show: ({ state }) => state ?? "–", kind: "fit rest" },
        { name: "Model looked up", show: ({ aliases_age_ms: age }) => since(age), kind: "num fit rest" },
        { name: "Rules read", show: ({ rules_age_ms: age }) => since(age), kind: "num fit rest" },
        {
          name: "Waits for the log",
          show: ({ log_unwritten: rows, log_oldest_ms: oldest, log_fault: fault }) =>
            fault !== null ? (
              <span class="bad">{seen(fault, 80)}</span>
            ) : rows === 0 ? (
              "nothing"
            ) : (
              `${counted(rows, "record")}, ${duration(oldest)}`
            ),
          kind: "num fit rest",
        },
        {
          name: "Breaker",
          show: ({ champion_breaker: breaker }) =>
            breaker === null ? "–" : <Tag word={breaker} tone={breaker === "closed" ? "green" : "red"} />,
          kind: "fit rest",
        },
        {
          name: "In shadow",
          show: ({ candidates }) =>
            candidates.length === 0 ? (
              <span class="faint">none</span>
            ) : (
              candidates.map(({ version, coverage, breaker }) => (
                <span key={version} class="row">
                  v{version} <span class="faint">covers {percent(coverage)}</span>
                  {breaker === "closed" ? null : <Tag word={breaker} tone="red" />}
                </span>
              ))
            ),
        },
      ]}
    />
  );
}
