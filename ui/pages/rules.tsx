// Rules: what each of them does, and the place where one is written, checked, tried on the past and switched.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { count, percent, seen } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../load.ts";
import { Choice, Empty, FaultBox, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { type Column, List, Rows } from "../parts/list.tsx";
import { go, hrefOf, setQuery, usePlace } from "../route.ts";
import { useDesk, useMay } from "../session.ts";
import { RuleDrawer } from "./rule.tsx";

export type Rule = Answer<"GET /api/pipelines/{id}/rules">[number];
type Did = Answer<"GET /api/pipelines/{id}/performance">["rules"][number];
export type Draft = Pick<Rule, "rule_expression" | "description" | "severity" | "action">;

const VIEWS = [
  ["rules", "Rules"],
  ["conflicts", "Conflicts"],
  ["suggestions", "Suggestions"],
  ["history", "History"],
] as const;

/** Of all pipelines the first: rules belong to one. */
export function useOnePipeline(): string | null {
  const { pipeline, pipelines } = useDesk();
  return pipeline === "" ? (pipelines[0]?.slug ?? null) : pipeline;
}

export function Rules() {
  const slug = useOnePipeline();
  const { query, id } = usePlace();
  const mayWrite = useMay("analyst");
  const [draft, setDraft] = useState<Draft | null>(null);
  const rules = useLoaded(slug === null ? null : `rules ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/rules", { at: { id: slug! }, signal }),
  );
  const did = useLoaded(
    slug === null ? null : `performance ${slug}`,
    (signal) => get("GET /api/pipelines/{id}/performance", { at: { id: slug! }, signal }),
    { everyMs: 30_000 },
  );
  const write = (from: Draft | null): void => {
    setDraft(from);
    go(hrefOf("rules", { id: "new", query }));
  };
  useKeys(mayWrite ? [{ key: "c", what: "Write a rule", run: () => write(null) }] : []);
  if (slug === null) {
    return (
      <Empty title="No pipeline yet">
        <span>Rules belong to a pipeline. Make one first.</span>
        <a class="button" href={hrefOf("pipelines")}>
          Pipelines
        </a>
      </Empty>
    );
  }
  const view = (query.view ?? "rules") as (typeof VIEWS)[number][0];
  const changed = (): void => {
    rules.again();
    did.again();
  };
  return (
    <>
      <div class="filters">
        <Choice
          label="View"
          words={VIEWS}
          chosen={view}
          onChoose={(next) => setQuery({ view: next === "rules" ? undefined : next })}
        />
        <span class="faint">
          of <Foreign text={slug} max={60} />
        </span>
        <span class="grow" />
        {mayWrite ? (
          <button type="button" class="button main" onClick={() => write(null)}>
            Write a rule <kbd>c</kbd>
          </button>
        ) : null}
      </div>
      {view === "rules" ? (
        <Panel
          title="Rules"
          flush
          hint={did.value === null ? undefined : `over the newest ${count(did.value.transactions)} answers`}
          json={urlOf("GET /api/pipelines/{id}/performance", { at: { id: slug } })}
        >
          <Shown of={rules}>
            {(all) =>
              all.length === 0 ? (
                <Empty title="No rules yet">
                  <span>A rule is one condition, such as</span>
                  <code>amount &gt; 1000 AND count_last('5m', user_id) &gt;= 3</code>
                </Empty>
              ) : (
                <List
                  label="Rules"
                  rows={all}
                  columns={columnsOf(
                    did.value === null ? null : new Map(did.value.rules.map((one) => [one.name, one])),
                    did.value?.transactions ?? 0,
                  )}
                  keyOf={(rule) => String(rule.id)}
                  opened={id}
                  onOpen={(rule) => go(hrefOf("rules", { id: rule.id, query }))}
                />
              )
            }
          </Shown>
        </Panel>
      ) : view === "conflicts" ? (
        <Conflicts slug={slug} />
      ) : view === "history" ? (
        <History slug={slug} />
      ) : (
        <Suggestions slug={slug} onTake={write} />
      )}
      {id === "" ? null : (
        <RuleDrawer
          key={id}
          slug={slug}
          rule={rules.value?.find((one) => String(one.id) === id) ?? null}
          did={did.value?.rules.find((one) => String(one.id) === id) ?? null}
          draft={id === "new" ? draft : null}
          isNew={id === "new"}
          onClose={() => go(hrefOf("rules", { query }))}
          onChanged={changed}
        />
      )}
    </>
  );
}

/** `did`: null until it is counted, which no figure may hide. */
function columnsOf(did: ReadonlyMap<string, Did> | null, all: number): readonly Column<Rule>[] {
  const of = (rule: Rule): Did | undefined => did?.get(rule.name);
  return [
    { name: "Stage", show: ({ stage }) => <Tag word={stage} />, kind: "fit" },
    {
      name: "Rule",
      show: ({ description, name, rule_expression: when }) => (
        <>
          <Foreign text={description === "" ? name : description} max={120} />{" "}
          <span class="faint mono">{seen(when, 160)}</span>
        </>
      ),
      kind: "clip",
    },
    { name: "Severity", show: ({ severity }) => <Tag word={severity} />, kind: "fit rest" },
    { name: "Action", show: ({ action }) => <Tag word={action} />, kind: "fit rest" },
    {
      name: "Fires",
      show: (rule) => {
        const own = of(rule);
        return did === null ? "…" : own === undefined ? "0" : count(own.fired + own.shadow);
      },
      kind: "num fit",
    },
    {
      name: "Of all",
      show: (rule) => {
        const own = of(rule);
        return own === undefined || all === 0 ? "–" : percent((own.fired + own.shadow) / all);
      },
      kind: "num fit rest",
    },
    {
      name: "Only me",
      show: (rule) => {
        const own = of(rule);
        return own === undefined ? "–" : count(own.alone);
      },
      kind: "num fit rest",
    },
    {
      name: "False",
      show: (rule) => {
        const own = of(rule);
        return own === undefined || own.frauds + own.genuine === 0
          ? "–"
          : percent(own.genuine / (own.frauds + own.genuine));
      },
      kind: "num fit rest",
    },
    {
      name: "Precision",
      show: (rule) => (did === null ? "…" : <Precision of={of(rule)?.precision ?? null} />),
      kind: "num fit",
    },
  ];
}

/** A share with its interval, as a line on a scale from 0 to 1. */
export function Precision({
  of,
}: {
  readonly of: { readonly value: number | null; readonly low: number | null; readonly high: number | null } | null;
}) {
  if (of === null || of.value === null) return <span class="faint">not known</span>;
  const { value, low, high } = of;
  return (
    <span class="interval" title={`${percent(value)}, 95 % interval ${percent(low)} to ${percent(high)}, by entity`}>
      <span class="scale" aria-hidden="true">
        {low === null || high === null ? null : (
          <i style={{ left: `${100 * low}%`, width: `${Math.max(2, 100 * (high - low))}%` }} />
        )}
        <b style={{ left: `${100 * value}%` }} />
      </span>
      {percent(value)}
    </span>
  );
}

function Conflicts({ slug }: { readonly slug: string }) {
  const found = useLoaded(`conflicts ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/rules/conflicts", { at: { id: slug }, signal }),
  );
  return (
    <div class="stack">
      <Panel
        title="What can be proven"
        flush
        json={urlOf("GET /api/pipelines/{id}/rules/conflicts", { at: { id: slug } })}
      >
        <Shown of={found}>
          {({ findings }) =>
            findings.length === 0 ? (
              <Empty title="No conflict">
                <span>No rule repeats, contains or contradicts another, as far as the conditions alone can tell.</span>
              </Empty>
            ) : (
              <Rows
                label="Findings"
                rows={findings}
                keyOf={({ kind, rule, other }) => `${kind} ${rule} ${other}`}
                columns={[
                  {
                    name: "What",
                    show: ({ kind }) => (
                      <Tag
                        word={kind}
                        tone={
                          kind === "against" || kind === "never-true"
                            ? "red"
                            : kind.startsWith("undecided")
                              ? ""
                              : "amber"
                        }
                      />
                    ),
                    kind: "fit",
                  },
                  { name: "Rule", show: ({ rule }) => <Foreign text={rule} max={60} mono />, kind: "fit" },
                  { name: "Other", show: ({ other }) => <Foreign text={other} max={60} mono />, kind: "fit" },
                  { name: "Why", show: ({ why }) => <Foreign text={why} /> },
                ]}
              />
            )
          }
        </Shown>
      </Panel>
      <Panel title="What fired together" flush hint="in the log">
        <Shown of={found}>
          {({ together, rows }) =>
            together.length === 0 ? (
              <Empty title={`No two rules fired on one of ${count(rows)} transactions`} />
            ) : (
              <Rows
                label="Rules that fired together"
                rows={together}
                keyOf={({ rule, other }) => `${rule} ${other}`}
                columns={[
                  { name: "Rule", show: ({ rule }) => <Foreign text={rule} max={60} mono /> },
                  { name: "Other", show: ({ other }) => <Foreign text={other} max={60} mono /> },
                  { name: "Both", show: ({ both }) => count(both), kind: "num" },
                  { name: "Of the rule", show: ({ share_of_rule: share }) => percent(share), kind: "num" },
                  { name: "Of the other", show: ({ share_of_other: share }) => percent(share), kind: "num" },
                ]}
              />
            )
          }
        </Shown>
      </Panel>
    </div>
  );
}

function History({ slug }: { readonly slug: string }) {
  const entries = useLoaded(`rules history ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/rules/history", { at: { id: slug }, signal }),
  );
  return (
    <Panel title="Changes" flush json={urlOf("GET /api/pipelines/{id}/rules/history", { at: { id: slug } })}>
      <Shown of={entries}>
        {(all) =>
          all.length === 0 ? (
            <Empty title="Nothing was changed yet" />
          ) : (
            <Rows
              label="Changes of the rules"
              rows={all}
              keyOf={({ at, live, verb }) => `${at} ${verb} ${live}`}
              columns={[
                { name: "When", show: ({ at }) => <When at={at} />, kind: "fit" },
                { name: "Who", show: ({ actor }) => <Foreign text={actor} max={40} />, kind: "fit" },
                { name: "What", show: ({ verb }) => <Tag word={verb} />, kind: "fit" },
                {
                  name: "Change",
                  show: ({ changes }) => (
                    <ul class="diff">
                      {changes.map((line) => (
                        <li key={line} class={line.startsWith("+") ? "good" : line.startsWith("-") ? "bad" : undefined}>
                          {seen(line, 400)}
                        </li>
                      ))}
                    </ul>
                  ),
                },
                { name: "Why", show: ({ reason }) => <Foreign text={reason} max={200} />, kind: "rest" },
                {
                  name: "Set",
                  show: ({ live }) => <span class="mono faint">{live?.slice(0, 8) ?? "–"}</span>,
                  kind: "fit rest",
                },
              ]}
            />
          )
        }
      </Shown>
    </Panel>
  );
}

function Suggestions({ slug, onTake }: { readonly slug: string; readonly onTake: (draft: Draft) => void }) {
  const mayWrite = useMay("analyst");
  const [asked, setAsked] = useState(false);
  const found = useLoaded(asked ? `suggestions ${slug}` : null, (signal) =>
    get("POST /api/pipelines/{id}/rules/suggestions", { at: { id: slug }, signal }),
  );
  if (!mayWrite) return <Empty title="Suggestions are for analysts" />;
  return (
    <Panel title="Suggestions" flush hint="mined from what was missed on earlier days, judged on later ones">
      {!asked ? (
        <Empty title="Rules that the past suggests">
          <span>Reads the pipeline's table beside the traffic; that takes up to a minute.</span>
          <button type="button" class="button main" onClick={() => setAsked(true)}>
            Look for rules
          </button>
        </Empty>
      ) : found.fault !== null && found.value === null ? (
        <div class="body">
          <FaultBox fault={found.fault} again={found.again} />
        </div>
      ) : (
        <Shown of={found}>
          {({ drafts }) =>
            drafts.length === 0 ? (
              <Empty title="Nothing that the model misses could be put into a rule" />
            ) : (
              <Rows
                label="Suggested rules"
                rows={drafts}
                keyOf={({ rule_expression: when }) => when}
                columns={[
                  { name: "Condition", show: ({ rule_expression: when }) => <Foreign text={when} mono /> },
                  { name: "Fires", show: ({ fires }) => count(fires), kind: "num" },
                  { name: "Frauds", show: ({ frauds }) => count(frauds), kind: "num" },
                  { name: "Only it", show: ({ only_me: only }) => count(only), kind: "num" },
                  { name: "Precision", show: ({ precision }) => <Precision of={precision} />, kind: "num" },
                  {
                    name: "",
                    show: ({ rule_expression: when }) => (
                      <button
                        type="button"
                        class="button small"
                        onClick={() =>
                          onTake({ rule_expression: when, description: "", severity: "warning", action: "review" })
                        }
                      >
                        Take as draft
                      </button>
                    ),
                    kind: "fit",
                  },
                ]}
              />
            )
          }
        </Shown>
      )}
    </Panel>
  );
}
