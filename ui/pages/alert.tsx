// One alert: why it was raised, by which rules, what the transaction says, and which versions judged it.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { money, score, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Foreign, Meter, Pairs, Shown, Tag, When } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { hrefOf } from "../route.ts";
import { EntityView } from "./entity.tsx";

type Whole = Answer<"GET /api/alerts/{alert}">;

export function AlertDrawer({ id, onClose }: { readonly id: string; readonly onClose: () => void }) {
  const alert = useLoaded(`alert ${id}`, (signal) => get("GET /api/alerts/{alert}", { at: { alert: id }, signal }));
  const { value } = alert;
  return (
    <Drawer
      label={`Alert ${id}`}
      onClose={onClose}
      head={
        value === null ? (
          <b>Alert {seen(id, 20)}</b>
        ) : (
          <>
            <Tag word={value.severity} />
            <Tag word={value.decision} />
            <b>{money(value.amount)}</b>
            <span class="faint">
              #{value.id} · <When at={value.alert_timestamp} />
            </span>
          </>
        )
      }
    >
      <Shown of={alert}>{(of) => <Inside of={of} />}</Shown>
    </Drawer>
  );
}

function Inside({ of }: { readonly of: Whole }) {
  // The rule whose fields are lit up; null: those of all.
  const [rule, setRule] = useState<string | null>(null);
  const lit = new Set(
    of.rules
      .filter(({ name }) => rule === null || name === rule)
      .flatMap(({ reads }) => reads.map((one) => one.toLowerCase())),
  );
  return (
    <>
      <section aria-label="Why">
        <h3>Why</h3>
        <p>
          <Foreign text={of.rule_description} max={1000} />
          <span class="faint"> · decided by {of.decided_by}</span>
        </p>
        {of.score === null ? null : (
          <p class="row">
            <span class="strong">Score {score(of.score)}</span>
            <Meter share={of.score} tone="plot-review" />
          </p>
        )}
        <Reasons id={of.id} />
      </section>
      {of.rules.length === 0 ? null : (
        <section aria-label="Rules that fired">
          <h3>Rules that fired</h3>
          <ul class="stack tight">
            {of.rules.map((one) => (
              <li key={one.name} onPointerEnter={() => setRule(one.name)} onPointerLeave={() => setRule(null)}>
                <button
                  type="button"
                  class="fired"
                  aria-pressed={rule === one.name}
                  onClick={() => setRule(rule === one.name ? null : one.name)}
                >
                  <span class="row">
                    <Tag word={one.severity} />
                    <b>
                      <Foreign text={one.description === "" ? one.name : one.description} max={300} />
                    </b>
                    <span class="faint mono">{seen(one.name, 60)}</span>
                  </span>
                  {one.rule_expression === null ? null : (
                    <span class="rule-text">{seen(one.rule_expression, 2000)}</span>
                  )}
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      <section aria-label="Transaction">
        <h3>Transaction</h3>
        <Fields of={of.transaction_data} lit={lit} />
      </section>
      {of.entity === null || of.columns.key === null || of.columns.key === undefined ? null : (
        <EntityView column={of.columns.key} value={of.entity} pipeline={of.pipeline} />
      )}
      <section aria-label="Versions">
        <h3>Judged by</h3>
        <Pairs
          of={[
            ["pipeline", <Foreign key="p" text={of.pipeline} />],
            ["event time", <When key="t" at={of.event_time} />],
            ["bundle", <Foreign key="b" text={of.bundle} mono />],
            ["rule set", <Foreign key="r" text={of.rule_set} mono />],
            ["vector", <Foreign key="v" text={of.vector_hash} mono />],
          ]}
        />
        <p class="row">
          <a
            class="linkish"
            href={urlOf("GET /api/alerts/{alert}", { at: { alert: of.id } })}
            target="_blank"
            rel="noreferrer"
          >
            JSON
          </a>
          {of.entity === null ? null : (
            <a
              class="linkish"
              href={hrefOf("alerts", { query: { entity: of.entity, pipeline: of.pipeline ?? undefined } })}
            >
              All alerts of this entity
            </a>
          )}
          {of.entity === null ? null : (
            <a class="linkish" href={hrefOf("cases", { query: { q: of.entity, pipeline: of.pipeline ?? undefined } })}>
              Its case
            </a>
          )}
        </p>
      </section>
    </>
  );
}

function Reasons({ id }: { readonly id: number }) {
  const { value } = useLoaded(`reasons ${id}`, (signal) =>
    get("GET /api/alerts/{alert}/reasons", { at: { alert: id }, signal }),
  );
  if (value === null || value.reasons.length === 0) return null;
  const of = value.reasons;
  const most = Math.max(...of.map(({ contribution }) => Math.abs(contribution)));
  return (
    <ul class="reasons">
      {of.map(({ code, text, contribution }) => (
        <li key={code}>
          <Foreign text={text} />
          <Meter
            share={most === 0 ? 0 : Math.abs(contribution) / most}
            tone={contribution > 0 ? "plot-block" : "plot-approve"}
          />
          <span class="num faint" title="What it adds to the margin (log-odds)">
            {contribution > 0 ? "+" : ""}
            {contribution.toFixed(2)}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Fields drawn of one transaction; a schema has at most five hundred. */
const FIELDS_MAX = 500;

function Fields({ of, lit }: { readonly of: Readonly<Record<string, unknown>>; readonly lit: ReadonlySet<string> }) {
  return (
    <dl class="pairs">
      {Object.entries(of)
        .slice(0, FIELDS_MAX)
        .map(([name, value]) => (
          <div key={name} class={lit.has(name.toLowerCase()) ? "lit" : undefined}>
            <dt>
              <Foreign text={name} max={80} />
            </dt>
            <dd>
              <Foreign text={value} />
            </dd>
          </div>
        ))}
    </dl>
  );
}
