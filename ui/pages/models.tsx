// Models: the champion and what wants to follow it, the paired evidence, the gate with every check, and the journal.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { count, figure, money, percent, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Empty, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { List, Rows } from "../parts/list.tsx";
import { ReasonDialog } from "../parts/reason.tsx";
import { attempt, tell } from "../parts/toast.tsx";
import { setQuery, usePlace } from "../route.ts";
import { useDesk, useMay } from "../session.ts";

type Models = Answer<"GET /api/pipelines/{id}/models">;
type Version = Models["versions"][number];
type Gate = Answer<"GET /api/pipelines/{id}/models/gate">;

/** Characters of a reason in the journal. */
const REASON_MAX = 1000;

interface Interval {
  readonly observedA: number | null;
  readonly observedB: number | null;
  readonly difference: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly probabilityBetter: number | null;
}

/** How much of the traffic was scored, and what became of the rest. */
interface Coverage {
  readonly seen: number;
  readonly scored: number;
  readonly share: number | null;
  readonly missed: readonly { readonly reason: string; readonly count: number; readonly share: number }[];
}

interface AlertCell {
  readonly pairs: number;
  readonly amount: number | null;
  readonly labelled: number;
  readonly frauds: number;
  readonly fraudAmount: number | null;
}

/** What GET /shadow/report says of one candidate, as far as it is drawn. */
interface Candidate {
  readonly version: string;
  readonly coverage: Coverage | null;
  readonly report: {
    readonly pairs: number;
    readonly cards: number;
    readonly agreement: readonly (readonly number[])[];
    readonly agreementShare: number | null;
    readonly alerts: readonly (readonly AlertCell[])[];
    readonly alertRate: Interval | null;
    readonly matured: { readonly labelled: number; readonly frauds: number; readonly days: number };
    readonly latencyMs: {
      readonly champion: { readonly p99: number | null };
      readonly candidate: { readonly p99: number | null };
    };
    readonly metrics: Readonly<Record<string, Interval | null>> | null;
  };
  readonly disagreements: {
    readonly features: readonly { readonly feature: string; readonly mean_absolute_difference: number | null }[];
    readonly pairs: readonly {
      readonly transaction_id: string;
      readonly amount: number | null;
      readonly fraud: boolean | null;
      readonly champion: { readonly score: number; readonly decision: string };
      readonly candidate: { readonly score: number; readonly decision: string };
    }[];
  };
}

/** Of several pipelines the first that has a model. */
export function useModelPipeline(): string | null {
  const { pipeline, pipelines } = useDesk();
  if (pipeline !== "") return pipeline;
  return (pipelines.find(({ source }) => source === "file") ?? pipelines[0])?.slug ?? null;
}

export function Models() {
  const slug = useModelPipeline();
  const { query } = usePlace();
  const models = useLoaded(
    slug === null ? null : `models ${slug}`,
    (signal) => get("GET /api/pipelines/{id}/models", { at: { id: slug! }, signal }),
    { everyMs: 30_000 },
  );
  if (slug === null) return <Empty title="No pipeline yet" />;
  if (models.fault?.problem.status === 404) {
    return (
      <Empty title={`${slug} has no model`}>
        <span>Its rules decide. Choose another pipeline above.</span>
      </Empty>
    );
  }
  return (
    <Shown of={models}>
      {(of) => {
        const to = query.to ?? of.candidates[0]?.version ?? null;
        return (
          <div class="stack">
            <div class="grid">
              <Roles of={of} slug={slug} onMoved={models.again} />
              {to === null ? null : (
                <GatePanel key={`${to} ${of.champion}`} slug={slug} to={to} of={of} onMoved={models.again} />
              )}
              <Evidence slug={slug} />
              <Versions of={of} slug={slug} />
              <Journal slug={slug} at={of.champion} />
            </div>
          </div>
        );
      }}
    </Shown>
  );
}

const FIGURES: readonly (readonly [name: string, shown: string])[] = [
  ["average_precision", "Average precision"],
  ["recall_at_budget", "Recall at budget"],
  ["auc", "ROC AUC"],
  ["brier", "Brier"],
];

function Roles({ of, slug, onMoved }: { readonly of: Models; readonly slug: string; readonly onMoved: () => void }) {
  const mayMove = useMay("admin");
  const [asks, setAsks] = useState(false);
  const byVersion = new Map(of.versions.map((one) => [one.version, one]));
  const roles = [
    ...(of.champion === null ? [] : [["champion", of.champion] as const]),
    ...of.candidates.map(({ alias, version }) => [alias, version] as const),
    ...(of.previous === null ? [] : [["previous", of.previous] as const]),
  ];
  return (
    <Panel
      title="Who answers"
      hint={<Foreign text={of.model} max={60} />}
      json={urlOf("GET /api/pipelines/{id}/models", { at: { id: slug } })}
      actions={
        mayMove && of.previous !== null ? (
          <button type="button" class="button small" onClick={() => setAsks(true)}>
            Roll back
          </button>
        ) : undefined
      }
    >
      {roles.length === 0 ? (
        <Empty title="No version is registered for anything">
          <span>
            <code>sentinel train</code> makes one.
          </span>
        </Empty>
      ) : (
        <ul class="roles">
          {roles.map(([role, version]) => {
            const about = byVersion.get(version);
            return (
              <li key={role} class={role === "champion" ? "champion" : undefined}>
                <span class="row even">
                  <b>v{version}</b>
                  <Tag word={role} tone={role === "champion" ? "green" : role === "previous" ? "" : "blue"} />
                </span>
                {about === undefined ? null : (
                  <>
                    <span class="faint">
                      made <When at={about.created_at} />
                    </span>
                    <dl>
                      {figuresOf(about).map(([name, value]) => (
                        <div key={name}>
                          <dt>{name}</dt>
                          <dd>{figure(value)}</dd>
                        </div>
                      ))}
                    </dl>
                  </>
                )}
              </li>
            );
          })}
        </ul>
      )}
      {asks ? (
        <ReasonDialog
          title={`Roll back to v${of.previous}?`}
          action="Roll back"
          label="Why, for the journal"
          lengthMax={REASON_MAX}
          text="The champion before answers again, and this one shadows it. No gate is asked: it has served already."
          onClose={() => setAsks(false)}
          onSay={async (reason) => {
            setAsks(false);
            if (
              await attempt(
                () => get("POST /api/pipelines/{id}/models/rollback", { at: { id: slug }, body: { reason } }),
                "Rolled back",
              )
            )
              onMoved();
          }}
        />
      ) : null}
    </Panel>
  );
}

function figuresOf({ metrics }: Version): readonly (readonly [name: string, value: number])[] {
  const known = FIGURES.flatMap(([name, shown]) => {
    const found = Object.entries(metrics).find(
      ([key]) => key === name || key.endsWith(`.${name}`) || key.endsWith(`/${name}`),
    );
    return found === undefined ? [] : [[shown, found[1]] as const];
  });
  return known.length > 0 ? known : Object.entries(metrics).slice(0, 4);
}

function GatePanel({
  slug,
  to,
  of,
  onMoved,
}: {
  readonly slug: string;
  readonly to: string;
  readonly of: Models;
  readonly onMoved: () => void;
}) {
  const mayMove = useMay("admin");
  const [asks, setAsks] = useState(false);
  const gate = useLoaded(`gate ${slug} ${to}`, (signal) =>
    get("GET /api/pipelines/{id}/models/gate", { at: { id: slug }, query: { to }, signal }),
  );
  const promote = async (reason: string | null): Promise<void> => {
    setAsks(false);
    await attempt(async () => {
      const moved: Gate = await get("POST /api/pipelines/{id}/models/promote", {
        at: { id: slug },
        body: reason === null ? { to } : { to, forced: true, reason },
      });
      tell(
        moved.moved
          ? `v${moved.to} is champion`
          : `The gate says ${moved.verdict.verdict}: ${moved.verdict.reasons.join("; ")}`,
      );
      onMoved();
      gate.again();
    }, null);
  };
  return (
    <Panel
      title="Promotion gate"
      hint={`v${of.champion ?? "–"} → v${to}`}
      json={urlOf("GET /api/pipelines/{id}/models/gate", { at: { id: slug }, query: { to } })}
      actions={
        of.candidates.length < 2 ? undefined : (
          <select
            class="select"
            style={{ width: "auto", height: "24px" }}
            aria-label="Candidate"
            value={to}
            onChange={(event) => setQuery({ to: event.currentTarget.value })}
          >
            {of.candidates.map(({ alias, version }) => (
              <option key={alias} value={version}>
                v{version} ({alias})
              </option>
            ))}
          </select>
        )
      }
    >
      <Shown of={gate}>
        {({ verdict, overridable }) => (
          <div class="stack">
            <div class="row even">
              <span class="row">
                <Tag word={verdict.verdict} />
                <span>{seen(verdict.reasons.join("; "), 600)}</span>
              </span>
              {!mayMove ? null : verdict.verdict === "PROMOTE" ? (
                <button type="button" class="button main" onClick={() => void promote(null)}>
                  Promote v{to}
                </button>
              ) : overridable ? (
                <button type="button" class="button danger" onClick={() => setAsks(true)}>
                  Promote all the same…
                </button>
              ) : (
                <span class="faint">No reason overrides this: no server could answer with it.</span>
              )}
            </div>
            {verdict.checks.length === 0 ? null : (
              <Rows
                label="Checks"
                rows={verdict.checks}
                keyOf={({ name }) => name}
                columns={[
                  { name: "", show: ({ passed }) => <Tag word={passed ? "pass" : "fail"} />, kind: "fit" },
                  { name: "Check", show: ({ name }) => seen(name, 80), kind: "strong" },
                  { name: "Seen", show: ({ observed }) => seen(observed, 200) },
                  { name: "Wanted", show: ({ required }) => seen(required, 200), kind: "rest" },
                ]}
              />
            )}
          </div>
        )}
      </Shown>
      {asks ? (
        <ReasonDialog
          title={`Promote v${to} against the gate?`}
          action="Promote"
          label="Why, for the journal"
          lengthMax={REASON_MAX}
          text="The journal says that it was forced, by whom and why, for ever."
          onClose={() => setAsks(false)}
          onSay={(reason) => void promote(reason)}
        />
      ) : null}
    </Panel>
  );
}

/** Of figures of which less is better the difference points the other way. */
const LESS_IS_BETTER = "Brier (less is better)";
const METRICS: readonly (readonly [key: string, name: string])[] = [
  ["averagePrecision", "Average precision"],
  ["recallAtReview", "Recall at review budget"],
  ["recallAtFpr", "Recall at false-positive rate"],
  ["precision", "Precision"],
  ["recall", "Recall"],
  ["f1", "F1"],
  ["savings", "Savings"],
  ["cardPrecision", "Card precision"],
  ["brier", LESS_IS_BETTER],
];

function Evidence({ slug }: { readonly slug: string }) {
  const report = useLoaded(
    `shadow ${slug}`,
    (signal) => get("GET /api/pipelines/{id}/models/shadow", { at: { id: slug }, signal }),
    { everyMs: 60_000 },
  );
  return (
    <Panel
      title="In shadow, on the same transactions"
      json={urlOf("GET /api/pipelines/{id}/models/shadow", { at: { id: slug } })}
    >
      <Shown of={report}>
        {(value) => {
          const candidates = (value as { readonly candidates?: readonly Candidate[] }).candidates ?? [];
          return candidates.length === 0 ? (
            <Empty title="Nothing is in shadow">
              <span>
                <code>sentinel train</code> puts a new version there.
              </span>
            </Empty>
          ) : (
            <div class="stack">
              {candidates.map((one) => (
                <CandidateReport key={one.version} of={one} />
              ))}
            </div>
          );
        }}
      </Shown>
    </Panel>
  );
}

const WORDS = ["approve", "review", "block"] as const;

function CandidateReport({ of }: { readonly of: Candidate }) {
  const { report } = of;
  const rows = METRICS.flatMap(([key, name]) => {
    const one = report.metrics?.[key];
    return one === null || one === undefined ? [] : [{ name, ...one }];
  });
  return (
    <div class="shadow">
      <p class="row">
        <b>v{of.version}</b>
        <span>
          {count(report.pairs)} {report.pairs === 1 ? "pair" : "pairs"}
        </span>
        <span>
          {count(report.cards)} {report.cards === 1 ? "entity" : "entities"}
        </span>
        <span>covers {percent(of.coverage?.share)}</span>
        <span>agrees on {percent(report.agreementShare)}</span>
        <span class="faint">
          {count(report.matured.labelled)} matured, {count(report.matured.frauds)} frauds, {count(report.matured.days)}{" "}
          days · scoring takes {figure(report.latencyMs.candidate.p99, 2)} ms at p99, the champion{" "}
          {figure(report.latencyMs.champion.p99, 2)} ms
        </span>
      </p>
      {report.pairs === 0 ? (
        <p class="faint">No transaction was scored by both yet.</p>
      ) : (
        <div class="shadow-grid">
          <Disputed of={report.alerts} />
          <table class="matrix">
            <caption>Decisions: champion ↓, candidate →</caption>
            <thead>
              <tr>
                <td />
                {WORDS.map((word) => (
                  <th key={word} scope="col">
                    {word}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {WORDS.map((word, row) => (
                <tr key={word}>
                  <th scope="row">{word}</th>
                  {WORDS.map((other, column) => (
                    <td
                      key={other}
                      class={row === column ? "same" : (report.agreement[row]?.[column] ?? 0) > 0 ? "apart" : undefined}
                    >
                      {count(report.agreement[row]?.[column] ?? 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
          <Ledger of={of.coverage} />
        </div>
      )}
      {report.pairs === 0 ? null : rows.length === 0 ? (
        <p class="faint">
          No label has matured yet: nothing can be compared. The gate says how many frauds it waits for.
        </p>
      ) : (
        <Forest rows={rows} />
      )}
      {of.disagreements.pairs.length === 0 ? null : (
        <details>
          <summary>The {of.disagreements.pairs.length} pairs furthest apart, and what drives them</summary>
          <p class="soft">
            {of.disagreements.features
              .map(({ feature, mean_absolute_difference: by }) => `${seen(feature, 60)} ${figure(by)}`)
              .join(" · ")}
          </p>
          <Rows
            label="Disagreements"
            rows={of.disagreements.pairs}
            keyOf={(one) => one.transaction_id}
            columns={[
              { name: "Transaction", show: (one) => <Foreign text={one.transaction_id} max={40} mono /> },
              { name: "Amount", show: (one) => money(one.amount), kind: "num" },
              {
                name: "Known",
                show: (one) => (one.fraud === null ? "–" : <Tag word={one.fraud ? "fraud" : "genuine"} />),
                kind: "fit",
              },
              { name: "Champion", show: (one) => <Side of={one.champion} />, kind: "num" },
              { name: "Candidate", show: (one) => <Side of={one.candidate} />, kind: "num" },
            ]}
          />
        </details>
      )}
    </div>
  );
}

function Side({ of }: { readonly of: { readonly score: number; readonly decision: string } }) {
  return (
    <>
      {figure(of.score)} <Tag word={of.decision} />
    </>
  );
}

const ALERTS = ["lets pass", "alerts"] as const;

/** Who would look at what, with the money that only one of the two looks at. */
function Disputed({ of }: { readonly of: Candidate["report"]["alerts"] }) {
  const hasMoney = of.flat().some(({ amount }) => amount !== null);
  return (
    <table class="matrix">
      <caption>Alerts and money: champion ↓, candidate →</caption>
      <thead>
        <tr>
          <td />
          {ALERTS.map((word) => (
            <th key={word} scope="col">
              {word}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {ALERTS.map((word, row) => (
          <tr key={word}>
            <th scope="row">{word}</th>
            {ALERTS.map((other, column) => {
              const cell = of[row]?.[column];
              if (cell === undefined) return <td key={other}>–</td>;
              return (
                <td key={other} class={row === column ? "same" : cell.pairs > 0 ? "apart" : undefined}>
                  <b>{count(cell.pairs)}</b>
                  {hasMoney ? <span> · {money(cell.amount)}</span> : null}
                  <br />
                  <small class="soft">
                    {cell.labelled === 0
                      ? "no label yet"
                      : `${count(cell.frauds)} of ${count(cell.labelled)} fraud${hasMoney && cell.frauds > 0 ? `, ${money(cell.fraudAmount)}` : ""}`}
                  </small>
                </td>
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const MISSED: Readonly<Record<string, string>> = {
  "sampled-out": "left out by the draw (shadow.sample); biases nothing",
  "queue-full": "the queue was full",
  timeout: "took longer than shadow.timeout",
  "breaker-open": "its breaker was open",
  error: "it failed",
  "spec-not-warm": "its features were not warm yet",
};

/** The ledger of shadows: each transaction was scored, or is counted with why not. */
function Ledger({ of }: { readonly of: Coverage | null }) {
  return (
    <table class="matrix ledger">
      <caption>Coverage: each transaction is counted</caption>
      <tbody>
        {of === null ? (
          <tr>
            <td>Nothing was counted yet.</td>
          </tr>
        ) : (
          <>
            <tr>
              <th scope="row">seen</th>
              <td>{count(of.seen)}</td>
              <td />
            </tr>
            <tr>
              <th scope="row">scored</th>
              <td>{count(of.scored)}</td>
              <td>{percent(of.share)}</td>
            </tr>
            {of.missed.map(({ reason, count: times, share }) => (
              <tr key={reason}>
                <th scope="row">{MISSED[reason] ?? seen(reason, 60)}</th>
                <td class="apart">{count(times)}</td>
                <td>{percent(share)}</td>
              </tr>
            ))}
          </>
        )}
      </tbody>
    </table>
  );
}

type Compared = Interval & { readonly name: string };

/** What an interval says: the candidate is better, worse, or it cannot be said. */
function verdictOf({ name, low, high }: Compared): "better" | "worse" | "open" {
  if (low === null || high === null || (low <= 0 && high >= 0)) return "open";
  return low > 0 === (name !== LESS_IS_BETTER) ? "better" : "worse";
}

const reachOf = (rows: readonly Compared[]): number =>
  1.1 *
  Math.max(
    1e-9,
    ...rows.flatMap(({ low, high, difference }) => [low, high, difference].map((one) => Math.abs(one ?? 0))),
  );

/** Differences with their intervals around zero: shares on one scale, so that lengths compare; other figures on their own. */
function Forest({ rows }: { readonly rows: readonly Compared[] }) {
  const reach = reachOf(rows.filter(({ name }) => name !== LESS_IS_BETTER));
  return (
    <div class="table-wrap">
      <table class="rows forest">
        <caption>
          Candidate − champion on the same matured transactions, with intervals of 95 %; right of 0 is better
        </caption>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col" class="num">
              Champion
            </th>
            <th scope="col" class="num">
              Candidate
            </th>
            <th scope="col">
              <span class="forest-head">
                <span>−{reach.toPrecision(2)}</span>
                <span>0</span>
                <span>{reach.toPrecision(2)}</span>
              </span>
            </th>
            <th scope="col" class="num">
              Difference
            </th>
            <th scope="col">Interval</th>
            <th scope="col" class="num">
              Chance that it is better
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              <td class="num">{figure(row.observedA)}</td>
              <td class="num">{figure(row.observedB)}</td>
              <td class="forest-cell">
                <Whisker of={row} reach={row.name === LESS_IS_BETTER ? reachOf([row]) : reach} />
              </td>
              <td class="num">{figure(row.difference)}</td>
              <td class="nowrap">
                [{figure(row.low)}, {figure(row.high)}] <Tag word={verdictOf(row)} tone={TONES[verdictOf(row)]} />
              </td>
              <td class="num">{percent(row.probabilityBetter)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const TONES = { better: "green", worse: "red", open: "" } as const;
const [WIDE, HIGH] = [220, 22];

/** One interval as a picture; its figures stand beside it. To the right is better. */
function Whisker({ of, reach }: { readonly of: Compared; readonly reach: number }) {
  const sign = of.name === LESS_IS_BETTER ? -1 : 1;
  const at = (value: number | null): number => WIDE / 2 + ((WIDE / 2) * sign * (value ?? 0)) / reach;
  const [left, right] = [at(of.low), at(of.high)].sort((one, other) => one - other);
  const middle = HIGH / 2;
  return (
    <svg
      class={`whisker ${verdictOf(of)}`}
      viewBox={`0 0 ${WIDE} ${HIGH}`}
      width={WIDE}
      height={HIGH}
      aria-hidden="true"
    >
      <line class="zero" x1={WIDE / 2} x2={WIDE / 2} y1={0} y2={HIGH} />
      {of.low === null || of.high === null ? null : (
        <path d={`M${left} ${middle}H${right}M${left} ${middle - 4}v8M${right} ${middle - 4}v8`} />
      )}
      {of.difference === null ? null : <circle cx={at(of.difference)} cy={middle} r={4} />}
    </svg>
  );
}

function Versions({ of, slug }: { readonly of: Models; readonly slug: string }) {
  const [open, setOpen] = useState<string | null>(null);
  const names = [...new Set(of.versions.flatMap((one) => figuresOf(one).map(([name]) => name)))].slice(0, 4);
  return (
    <Panel title="Versions" flush json={urlOf("GET /api/pipelines/{id}/models", { at: { id: slug } })}>
      <List
        label="Versions"
        rows={of.versions}
        keyOf={({ version }) => version}
        opened={open ?? ""}
        onOpen={({ version }) => setOpen(version)}
        columns={[
          { name: "Version", show: ({ version }) => <b>v{version}</b>, kind: "fit" },
          {
            name: "Alias",
            show: ({ aliases }) => (
              <span class="row">
                {aliases.map((alias) => (
                  <Tag key={alias} word={alias} tone={alias === "champion" ? "green" : "blue"} />
                ))}
              </span>
            ),
            kind: "fit",
          },
          { name: "Made", show: ({ created_at: at }) => <When at={at} />, kind: "fit" },
          { name: "About", show: ({ description }) => <Foreign text={description} max={120} />, kind: "clip rest" },
          ...names.map((name) => ({
            name,
            show: (one: Version) => figure(figuresOf(one).find(([own]) => own === name)?.[1]),
            kind: "num fit rest",
          })),
          {
            name: "Bundle",
            show: ({ bundle }) => <span class="mono faint">{bundle.slice(0, 10)}</span>,
            kind: "fit rest",
          },
        ]}
      />
      {open === null ? null : <CardDrawer key={open} slug={slug} version={open} onClose={() => setOpen(null)} />}
    </Panel>
  );
}

const IMPORTANT_MAX = 20;

/** What a version says of itself: its card, what its inputs are worth, and the report with its pictures. */
function CardDrawer({
  slug,
  version,
  onClose,
}: {
  readonly slug: string;
  readonly version: string;
  readonly onClose: () => void;
}) {
  const at = { id: slug, version };
  const card = useLoaded(`card ${slug} ${version}`, (signal) =>
    get("GET /api/pipelines/{id}/models/{version}/card", { at, signal }),
  );
  return (
    <Drawer label={`Version ${version}`} onClose={onClose} head={<b>v{version}</b>}>
      <Shown of={card}>
        {(of) => {
          const most = Math.max(1e-9, ...of.importance.map(({ gain }) => gain ?? 0));
          return (
            <>
              {of.report ? (
                <p>
                  <a
                    href={urlOf("GET /api/pipelines/{id}/models/{version}/report", { at })}
                    target="_blank"
                    rel="noreferrer"
                  >
                    The report of its training
                  </a>
                  <span class="faint"> with precision by alerts, reliability and learning as pictures</span>
                </p>
              ) : null}
              {of.importance.length === 0 ? null : (
                <section aria-label="Inputs">
                  <h3>What its inputs are worth</h3>
                  <ul class="bars wide">
                    {of.importance.slice(0, IMPORTANT_MAX).map(({ name, gain, permutation }) => (
                      <li key={name} title={`gain ${figure(gain)}, permutation ${figure(permutation)}`}>
                        <span class="mono break">{seen(name, 60)}</span>
                        <span class="track" aria-hidden="true">
                          <i style={{ width: `${(100 * (gain ?? 0)) / most}%`, background: "var(--plot-approve)" }} />
                        </span>
                        <span class="num">{percent(gain)}</span>
                      </li>
                    ))}
                  </ul>
                </section>
              )}
              {of.card === null ? null : (
                <section aria-label="Card">
                  <h3>Card</h3>
                  <pre class="rule-text">{of.card}</pre>
                </section>
              )}
            </>
          );
        }}
      </Shown>
    </Drawer>
  );
}

function Journal({ slug, at }: { readonly slug: string; readonly at: string | null }) {
  const journal = useLoaded(`journal ${slug} ${at}`, (signal) =>
    get("GET /api/pipelines/{id}/models/journal", { at: { id: slug }, signal }),
  );
  return (
    <Panel
      title="Journal"
      json={urlOf("GET /api/pipelines/{id}/models/journal", { at: { id: slug } })}
      hint={
        journal.value === null
          ? undefined
          : journal.value.intact
            ? "the chain of hashes is whole"
            : "the chain is broken"
      }
    >
      <Shown of={journal}>
        {({ entries }) =>
          entries.length === 0 ? (
            <Empty title="Nothing has happened yet" />
          ) : (
            <ul class="timeline">
              {entries.map((one) => (
                <li key={one.hash}>
                  <span class="faint">
                    <When at={one.at} />
                  </span>
                  <i class={one.alias === "champion" ? "dot good" : "dot"} />
                  <span>
                    <b>{one.verb}</b> {seen(one.alias, 40)} {one.from === null ? "" : `v${one.from} `}→{" "}
                    {one.to === null ? "nothing" : `v${one.to}`} <Tag word={one.verdict} />{" "}
                    <span class="faint">
                      by <Foreign text={one.actor} max={40} />
                    </span>
                    <br />
                    <span class="soft">
                      <Foreign text={one.reason} max={300} />
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          )
        }
      </Shown>
    </Panel>
  );
}
