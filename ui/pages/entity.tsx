// An entity: what it did by time, and whom it is linked to by what they share.
import { get, urlOf } from "../api.ts";
import { count, counted, money, score, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Foreign, Tag, When } from "../parts/basic.tsx";
import { Graph } from "../parts/graph.tsx";
import { hrefOf } from "../route.ts";

interface Happened {
  readonly kind: "transaction" | "label" | "alert" | "case";
  readonly at: string;
  readonly transaction_id?: string | null;
  readonly amount?: number | null;
  readonly decision?: string;
  readonly score?: number | null;
  readonly fraud?: boolean;
  readonly source?: string;
  readonly alert_id?: number;
  readonly severity?: string;
  readonly case?: { readonly id: number; readonly status: string; readonly disposition: string | null };
}

interface Node {
  readonly id: string;
  readonly column: string;
  readonly value: string;
  readonly hop: number;
  readonly transactions: number;
  readonly frauds: number;
}

interface Edge {
  readonly from: string;
  readonly to: string;
}

/** Events drawn; the JSON has the others. */
const EVENTS_MAX = 40;

export function EntityView({
  column,
  value,
  pipeline,
}: {
  readonly column: string;
  readonly value: string;
  readonly pipeline: string | null;
}) {
  const asked = { at: { column, value }, query: pipeline === null ? {} : { pipeline } };
  const found = useLoaded(`entity ${pipeline} ${column} ${value}`, (signal) =>
    get("GET /api/entities/{column}/{value}", { ...asked, signal }),
  );
  // A column that links nothing, an entity that the log forgot: the alert and the case are shown without.
  if (found.value === null) return null;
  const events = found.value.timeline as unknown as readonly Happened[];
  const nodes = found.value.nodes as unknown as readonly Node[];
  const edges = found.value.edges as unknown as readonly Edge[];
  const own = nodes.find(({ hop }) => hop === 0);
  return (
    <>
      {nodes.length < 2 ? null : (
        <section aria-label="Linked entities">
          <h3>
            Linked entities ({count(nodes.length - 1)})
            <a
              class="linkish"
              href={urlOf("GET /api/entities/{column}/{value}", asked)}
              target="_blank"
              rel="noreferrer"
            >
              JSON
            </a>
          </h3>
          <Graph
            label={`What shares something with ${seen(value, 60)}`}
            nodes={nodes.map((node) => ({
              id: node.id,
              label: node.value,
              kind: `${node.column}, ${count(node.transactions)} transactions, ${count(node.frauds)} known fraud`,
              tone:
                node.frauds > 0 ? ("red" as const) : node.column === own?.column ? ("" as const) : ("green" as const),
              href: hrefOf("alerts", { query: { q: node.value, pipeline: pipeline ?? undefined } }),
              isCentre: node.hop === 0,
            }))}
            edges={edges}
          />
          <p class="faint">
            Red: confirmed fraud. Two hops at most; {seen(column, 40)} in blue, what is shared in green.
            {own === undefined || own.transactions === 0
              ? ""
              : ` Of its ${counted(own.transactions, "transaction")} ${own.frauds === 0 ? "none is" : own.frauds === 1 ? "one is" : `${count(own.frauds)} are`} known to be fraud.`}
          </p>
        </section>
      )}
      <section aria-label="Time-line">
        <h3>What it did</h3>
        <ul class="timeline">
          {events.slice(0, EVENTS_MAX).map((one) => (
            <li key={`${one.kind} ${one.at} ${one.transaction_id ?? ""} ${one.alert_id ?? ""} ${one.case?.id ?? ""}`}>
              <span class="faint">
                <When at={one.at} />
              </span>
              <i
                class={
                  one.kind === "alert" || one.fraud === true ? "dot bad" : one.kind === "case" ? "dot fair" : "dot"
                }
              />
              <span class="row">
                <Event of={one} />
              </span>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Event({ of }: { readonly of: Happened }) {
  if (of.kind === "transaction") {
    return (
      <>
        <b>{money(of.amount)}</b>
        <Tag word={of.decision ?? ""} />
        <span class="faint">score {score(of.score)}</span>
        <Foreign text={of.transaction_id} max={40} mono />
      </>
    );
  }
  if (of.kind === "label") {
    return (
      <>
        <Tag word={of.fraud === true ? "fraud" : "genuine"} />
        <span class="faint">
          said by {seen(of.source, 40)} of {seen(of.transaction_id, 40)}
        </span>
      </>
    );
  }
  if (of.kind === "alert") {
    return (
      <>
        <a href={hrefOf("alerts", { id: of.alert_id ?? "" })}>alert #{of.alert_id}</a>
        <Tag word={of.severity ?? ""} />
        <Tag word={of.decision ?? ""} />
      </>
    );
  }
  return (
    <>
      <a href={hrefOf("cases", { id: of.case?.id ?? "" })}>case #{of.case?.id}</a>
      <Tag word={of.case?.disposition ?? of.case?.status ?? ""} />
    </>
  );
}
