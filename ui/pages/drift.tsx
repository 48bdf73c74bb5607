// Drift: which features moved, since when, how far beyond chance, and what that does to the champion.
import { get, urlOf } from "../api.ts";
import { count, dayOf, figure, percent, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Empty, Panel, Shown, Tag, Tile } from "../parts/basic.tsx";
import { Rows } from "../parts/list.tsx";
import { useModelPipeline } from "./models.tsx";

interface Feature {
  readonly name: string;
  readonly psi: number | null;
  readonly psi_expected: number | null;
  readonly psi_limit: number | null;
  readonly adjusted: number | null;
  readonly drifted: boolean;
  readonly moved: boolean;
  readonly since: number | null;
  readonly missing: { readonly reference: number; readonly window: number };
  readonly words: string;
}

/** What `sentinel monitor` finds, as far as it is drawn. */
interface Report {
  readonly alarm: boolean;
  readonly reasons: readonly string[];
  readonly version: string;
  readonly from: number;
  readonly to: number;
  readonly since: number | null;
  readonly drift: {
    readonly verdict: string;
    readonly rows: number;
    readonly data_quality: readonly { readonly words?: string; readonly what?: string; readonly feature?: string }[];
    readonly features: readonly Feature[];
    readonly alert_rate: { readonly reference: number; readonly window: number; readonly drifted: boolean };
    readonly strip: {
      readonly from: readonly number[];
      readonly rows: readonly { readonly name: string; readonly excess: readonly (number | null)[] }[];
    };
    readonly scores: {
      readonly edges: readonly number[];
      readonly reference: readonly number[];
      readonly window: readonly number[];
    };
  };
  readonly effects: readonly { readonly feature: string; readonly log_odds: number }[];
  readonly performance: {
    readonly rows: number;
    readonly frauds: number;
    readonly average_precision: number;
    readonly average_precision_at_training: number;
    readonly recall_at_review: number;
    readonly precision_at_review: number;
    readonly alarm: boolean;
  } | null;
}

export function Drift() {
  const slug = useModelPipeline();
  const report = useLoaded(slug === null ? null : `drift ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/drift", { at: { id: slug! }, signal }),
  );
  if (slug === null) return <Empty title="No pipeline yet" />;
  if (report.fault?.problem.code === "lifecycle.not-enough-data" || report.fault?.problem.status === 404) {
    return (
      <Empty title="Nothing to compare yet">
        <span>{seen(report.fault.message)}</span>
      </Empty>
    );
  }
  const json = urlOf("GET /api/pipelines/{id}/drift", { at: { id: slug } });
  return (
    <Shown of={report}>
      {(value) => {
        const of = value as unknown as Report;
        return (
          <div class="stack">
            <Tiles of={of} />
            <div class={of.alarm ? "note warn" : "note"}>
              {of.reasons.map((reason) => (
                <p key={reason}>{seen(reason, 600)}</p>
              ))}
            </div>
            <div class="grid">
              <Panel title="Feature by time" wide="w8" json={json} hint="colour: PSI beyond what chance gives">
                <Strip of={of} />
              </Panel>
              <Panel title="Scores, then and now" wide="w4" json={json}>
                <Scores of={of} />
              </Panel>
              <Panel title="Features" flush json={json} hint="the most moved first">
                <Features of={of} />
              </Panel>
            </div>
          </div>
        );
      }}
    </Shown>
  );
}

function Tiles({ of }: { readonly of: Report }) {
  const { drift, performance } = of;
  return (
    <div class="tiles">
      <Tile name={`Champion v${of.version}`} figure={drift.verdict}>
        <span>
          {dayOf(of.from)} to {dayOf(of.to)}
        </span>
        <span>{count(drift.rows)} rows</span>
      </Tile>
      <Tile
        name="Features that drifted"
        figure={count(drift.features.filter(({ drifted }) => drifted).length)}
        unit={`of ${drift.features.length}`}
      >
        {of.since === null ? null : <span>since {dayOf(of.since)}</span>}
      </Tile>
      <Tile name="Alert rate" figure={percent(drift.alert_rate.window)}>
        <span>{percent(drift.alert_rate.reference)} when trained</span>
      </Tile>
      <Tile name="Average precision" figure={performance === null ? "–" : figure(performance.average_precision)}>
        <span>
          {performance === null
            ? "too few labels"
            : `${figure(performance.average_precision_at_training)} when trained`}
        </span>
      </Tile>
      <Tile
        name="At the review threshold"
        figure={performance === null ? "–" : percent(performance.precision_at_review)}
      >
        <span>
          {performance === null
            ? ""
            : `precision; recall ${percent(performance.recall_at_review)} of ${count(performance.frauds)}`}
        </span>
      </Tile>
    </div>
  );
}

/** PSI beyond chance from which a cell has its full colour. */
const EXCESS_FULL = 0.5;
const ROWS_SHOWN = 40;

function Strip({ of }: { readonly of: Report }) {
  const { from, rows } = of.drift.strip;
  if (rows.length === 0 || from.length === 0) return <Empty title="Too few rows to tell" />;
  const order = new Map(of.drift.features.map(({ name }, place) => [name, place]));
  const sorted = [...rows]
    .sort((one, other) => (order.get(one.name) ?? 0) - (order.get(other.name) ?? 0))
    .slice(0, ROWS_SHOWN);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a strip that is wider than its room scrolls by the keyboard
    // biome-ignore lint/a11y/useSemanticElements: a section would be a landmark for each table
    <div class="table-wrap" tabIndex={0} role="region" aria-label="Feature by time">
      <table class="strip">
        <thead>
          <tr>
            <td />
            {from.map((at) => (
              <th key={at} scope="col">
                {dayOf(at)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map(({ name, excess }) => (
            <tr key={name}>
              <th scope="row" class="mono">
                {seen(name, 48)}
              </th>
              {excess.map((value, place) => (
                <td
                  key={from[place]}
                  title={`${name}, from ${dayOf(from[place])}: ${value === null ? "too few rows" : `${figure(value)} beyond chance`}`}
                >
                  <i
                    style={{ opacity: value === null ? 0 : Math.max(0.06, Math.min(1, value / EXCESS_FULL)) }}
                    class={value === null ? "none" : undefined}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > ROWS_SHOWN ? <p class="faint">{rows.length - ROWS_SHOWN} more are in the JSON.</p> : null}
    </div>
  );
}

function Scores({ of }: { readonly of: Report }) {
  const { edges, reference, window: now } = of.drift.scores;
  const most = Math.max(...reference, ...now, 1e-9);
  return (
    <div class="stack tight">
      <ul class="twin">
        {reference.map((share, place) => {
          const upper = edges[place];
          const key = upper === undefined ? "above" : String(upper);
          return (
            <li key={key}>
              <span class="faint">
                {upper === undefined ? `> ${figure(edges.at(-1), 2)}` : `≤ ${figure(upper, 2)}`}
              </span>
              <span class="pair" aria-hidden="true">
                <i style={{ width: `${(100 * share) / most}%` }} />
                <b style={{ width: `${(100 * (now[place] ?? 0)) / most}%` }} />
              </span>
              <span class="num">{percent(now[place])}</span>
            </li>
          );
        })}
      </ul>
      <div class="legend">
        <span>
          <i style={{ background: "var(--line-strong)" }} />
          when trained
        </span>
        <span>
          <i style={{ background: "var(--plot-rate)" }} />
          now
        </span>
      </div>
    </div>
  );
}

function Features({ of }: { readonly of: Report }) {
  const effects = new Map(of.effects.map(({ feature, log_odds: odds }) => [feature, odds]));
  return (
    <Rows
      label="Features"
      rows={of.drift.features}
      keyOf={({ name }) => name}
      columns={[
        {
          name: "",
          show: ({ drifted, moved }) => (
            <Tag
              word={drifted ? "drifted" : moved ? "moved" : "steady"}
              tone={drifted ? "red" : moved ? "amber" : ""}
            />
          ),
          kind: "fit",
        },
        { name: "Feature", show: ({ name }) => <span class="mono">{seen(name, 60)}</span>, kind: "fit name" },
        { name: "PSI", show: ({ psi }) => figure(psi), kind: "num fit" },
        { name: "By chance", show: ({ psi_expected: chance }) => figure(chance), kind: "num fit rest" },
        { name: "Limit", show: ({ psi_limit: limit }) => figure(limit), kind: "num fit rest wall" },
        { name: "p, adjusted", show: ({ adjusted }) => figure(adjusted), kind: "num fit rest wall" },
        {
          name: "Missing",
          show: ({ missing }) => `${percent(missing.reference)} → ${percent(missing.window)}`,
          kind: "num fit rest",
        },
        {
          name: "Effect on the score",
          show: ({ name }) => {
            const odds = effects.get(name);
            return odds === undefined ? "–" : `${odds > 0 ? "+" : ""}${odds.toFixed(3)}`;
          },
          kind: "num fit rest",
        },
        { name: "Since", show: ({ since }) => (since === null ? "–" : dayOf(since)), kind: "fit rest" },
        { name: "In words", show: ({ words }) => seen(words, 200), kind: "clip rest" },
      ]}
    />
  );
}
