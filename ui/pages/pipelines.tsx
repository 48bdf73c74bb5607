// Pipelines: which there are, how they fare, and where a new one is made, field by field.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { count, dayOf, seen } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../load.ts";
import { Empty, Foreign, Pairs, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { type Column, List, Rows } from "../parts/list.tsx";
import { attempt } from "../parts/toast.tsx";
import { go, hrefOf, usePlace } from "../route.ts";
import { useDesk, useMay } from "../session.ts";

type Pipeline = Answer<"GET /api/pipelines">[number];
type Field = Answer<"GET /api/pipelines/{id}/schema">[number];
type FieldType = Field["type"];

const EVERY_MS = 10_000;
const TYPES: readonly FieldType[] = ["string", "integer", "float", "boolean", "timestamp"];

/** Of fields whose values name somebody or something. */
const ENTITY_TYPES: readonly FieldType[] = ["string", "integer"];

export function Pipelines() {
  const { id } = usePlace();
  const { reload } = useDesk();
  const mayMake = useMay("admin");
  const all = useLoaded("pipelines", (signal) => get("GET /api/pipelines", { signal }), { everyMs: EVERY_MS });
  const health = useLoaded("pipelines health", (signal) => get("GET /api/overview", { signal }), { everyMs: EVERY_MS });
  const states = new Map(health.value?.health.map((one) => [one.pipeline, one]) ?? []);
  const changed = (): void => {
    all.again();
    reload();
  };
  const make = (): void => go(hrefOf("pipelines", { id: "new" }));
  useKeys(mayMake ? [{ key: "c", what: "Make a pipeline", run: make }] : []);
  const columns: readonly Column<Pipeline>[] = [
    {
      name: "Name",
      show: ({ name, slug }) => (
        <>
          <Foreign text={name} max={80} /> <span class="faint mono">{seen(slug, 60)}</span>
        </>
      ),
      kind: "clip",
    },
    { name: "Status", show: ({ status }) => <Tag word={status} />, kind: "fit" },
    {
      name: "Serves",
      show: ({ slug }) => {
        const state = states.get(slug);
        return state === undefined ? "–" : <Tag word={state.status} />;
      },
      kind: "fit",
    },
    {
      name: "Decides",
      show: ({ slug }) => {
        const state = states.get(slug);
        return state === undefined ? "–" : state.version === null ? "rules" : `v${state.version} and rules`;
      },
      kind: "fit rest",
    },
    { name: "Alerts", show: ({ alert_count: alerts }) => count(alerts), kind: "num fit" },
    { name: "Log waits", show: ({ slug }) => count(states.get(slug)?.log_unwritten ?? 0), kind: "num fit rest" },
    { name: "Topic", show: ({ kafka_topic: topic }) => <Foreign text={topic} max={40} mono />, kind: "short rest" },
    { name: "From", show: ({ source }) => source, kind: "fit rest" },
    { name: "Made", show: ({ created_at: at }) => <span title={at}>{dayOf(at)}</span>, kind: "fit rest" },
  ];
  return (
    <>
      <div class="filters">
        <span class="grow" />
        {mayMake ? (
          <button type="button" class="button main" onClick={make}>
            Make a pipeline <kbd>c</kbd>
          </button>
        ) : null}
      </div>
      <Panel title="Pipelines" flush json={urlOf("GET /api/pipelines")}>
        <Shown of={all}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty title="No pipelines yet">
                <span>A pipeline is a kind of transactions: its fields, its rules, perhaps its model.</span>
              </Empty>
            ) : (
              <List
                label="Pipelines"
                rows={rows}
                columns={columns}
                keyOf={({ slug }) => slug}
                opened={id}
                onOpen={({ slug }) => go(hrefOf("pipelines", { id: slug }))}
              />
            )
          }
        </Shown>
      </Panel>
      {id === "new" ? (
        <NewPipeline onClose={() => go(hrefOf("pipelines"))} onDone={changed} />
      ) : id === "" ? null : (
        <One key={id} slug={id} onClose={() => go(hrefOf("pipelines"))} onChanged={changed} />
      )}
    </>
  );
}

function One({
  slug,
  onClose,
  onChanged,
}: {
  readonly slug: string;
  readonly onClose: () => void;
  readonly onChanged: () => void;
}) {
  const mayChange = useMay("admin");
  const about = useLoaded(`pipeline ${slug}`, (signal) => get("GET /api/pipelines/{id}", { at: { id: slug }, signal }));
  const fields = useLoaded(`schema ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/schema", { at: { id: slug }, signal }),
  );
  const put = async (status: Pipeline["status"]): Promise<void> => {
    if (
      await attempt(
        () => get("PATCH /api/pipelines/{id}/status", { at: { id: slug }, body: { status } }),
        `${slug} is ${status}`,
      )
    ) {
      about.again();
      onChanged();
    }
  };
  const now = about.value?.status;
  return (
    <Drawer
      label={`Pipeline ${slug}`}
      onClose={onClose}
      head={
        <>
          {now === undefined ? null : <Tag word={now} />}
          <b>{seen(about.value?.name ?? slug, 60)}</b>
        </>
      }
      foot={
        !mayChange || now === undefined ? undefined : (
          <>
            {now === "active" ? (
              <button type="button" class="button" onClick={() => void put("paused")}>
                Pause
              </button>
            ) : (
              <button type="button" class="button main" onClick={() => void put("active")}>
                Resume
              </button>
            )}
            {now === "stopped" ? null : (
              <button type="button" class="button danger" onClick={() => void put("stopped")}>
                Stop
              </button>
            )}
          </>
        )
      }
    >
      <Shown of={about}>
        {(of) => (
          <section aria-label="About">
            <Pairs
              of={[
                ["id", count(of.id)],
                ["answers at", <code key="p">POST /pipelines/{seen(of.slug)}/predict</code>],
                ["topic", <Foreign key="t" text={of.kafka_topic} mono />],
                ["made", <When key="w" at={of.created_at} />],
                ["alerts", count(of.alert_count)],
                ...(of.cases === null || Object.keys(of.cases).length === 0
                  ? []
                  : [["cases", <code key="c">{seen(of.cases, 400)}</code>] as const]),
              ]}
            />
            <p class="row">
              <a class="linkish" href={hrefOf("alerts", { query: { pipeline: of.slug } })}>
                Alerts
              </a>
              <a class="linkish" href={hrefOf("rules", { query: { pipeline: of.slug } })}>
                Rules
              </a>
            </p>
          </section>
        )}
      </Shown>
      <section aria-label="Schema">
        <h3>Fields</h3>
        <Shown of={fields}>
          {(all) => (
            <Rows
              label="Fields"
              rows={all}
              keyOf={({ name }) => name}
              columns={[
                { name: "Name", show: ({ name }) => <Foreign text={name} mono /> },
                { name: "Type", show: ({ type }) => type, kind: "fit" },
                { name: "May be null", show: ({ nullable }) => (nullable === false ? "no" : "yes"), kind: "fit" },
              ]}
            />
          )}
        </Shown>
      </section>
    </Drawer>
  );
}

interface NewField {
  readonly key: number;
  readonly name: string;
  readonly type: FieldType;
  readonly nullable: boolean;
}

const BEGIN: readonly NewField[] = [
  { key: 1, name: "transaction_id", type: "string", nullable: false },
  { key: 2, name: "user_id", type: "string", nullable: false },
  { key: 3, name: "amount", type: "float", nullable: false },
  { key: 4, name: "timestamp", type: "timestamp", nullable: true },
];

function NewPipeline({ onClose, onDone }: { readonly onClose: () => void; readonly onDone: () => void }) {
  const [name, setName] = useState("");
  const [topic, setTopic] = useState("");
  const [fields, setFields] = useState(BEGIN);
  const [entity, setEntity] = useState("");
  const [second, setSecond] = useState(false);
  const [busy, setBusy] = useState(false);
  const change = (key: number, to: Partial<NewField>): void =>
    setFields(fields.map((one) => (one.key === key ? { ...one, ...to } : one)));
  const make = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    const schema = fields
      .filter((one) => one.name !== "")
      .map(({ name: field, type, nullable }) => ({ name: field, type, nullable }));
    const isDone = await attempt(
      () =>
        get("POST /api/pipelines", {
          body: {
            name,
            kafka_topic: topic === "" ? null : topic,
            schema,
            cases: { ...(entity === "" ? {} : { entity }), ...(second ? { four_eyes: true } : {}) },
          },
        }),
      `${name} answers`,
    );
    setBusy(false);
    if (!isDone) return;
    onDone();
    onClose();
  };
  return (
    <Drawer label="New pipeline" onClose={onClose} head={<b>New pipeline</b>}>
      <form class="stack" onSubmit={(event) => void make(event)}>
        <label class="field">
          <span>Name</span>
          <input
            class="input"
            required
            maxLength={200}
            value={name}
            placeholder="Payment Transactions"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <label class="field">
          <span>Kafka topic (optional)</span>
          <input
            class="input mono"
            maxLength={249}
            value={topic}
            onInput={(event) => setTopic(event.currentTarget.value)}
          />
        </label>
        <section aria-label="Schema">
          <h3>Fields</h3>
          <ul class="stack tight">
            {fields.map((one, place) => (
              <li key={one.key} class="schema-row">
                <input
                  class="input mono"
                  aria-label={`Name of field ${place + 1}`}
                  value={one.name}
                  onInput={(event) => change(one.key, { name: event.currentTarget.value })}
                />
                <select
                  class="select"
                  aria-label={`Type of field ${place + 1}`}
                  value={one.type}
                  onChange={(event) => change(one.key, { type: event.currentTarget.value as FieldType })}
                >
                  {TYPES.map((type) => (
                    <option key={type}>{type}</option>
                  ))}
                </select>
                <label class="row">
                  <input
                    type="checkbox"
                    checked={one.nullable}
                    onChange={(event) => change(one.key, { nullable: event.currentTarget.checked })}
                  />{" "}
                  may be null
                </label>
                <button
                  type="button"
                  class="button bare small"
                  aria-label={`Remove field ${place + 1}`}
                  onClick={() => setFields(fields.filter(({ key }) => key !== one.key))}
                >
                  Remove
                </button>
              </li>
            ))}
          </ul>
          <button
            type="button"
            class="button small"
            onClick={() =>
              setFields([
                ...fields,
                { key: Math.max(0, ...fields.map(({ key }) => key)) + 1, name: "", type: "string", nullable: true },
              ])
            }
          >
            Add a field
          </button>
          <p class="faint">Which field is the id, the time, the amount and the key is guessed from the names.</p>
        </section>
        <section class="stack tight" aria-label="Cases">
          <h3>Cases</h3>
          <label class="field">
            <span>The alerts of one case share</span>
            <select class="select" value={entity} onChange={(event) => setEntity(event.currentTarget.value)}>
              <option value="">the key: a card, an account, a user</option>
              {fields
                .filter((one) => one.name !== "" && ENTITY_TYPES.includes(one.type))
                .map((one) => (
                  <option key={one.key} value={one.name}>
                    {one.name}
                  </option>
                ))}
            </select>
          </label>
          <label class="row">
            <input type="checkbox" checked={second} onChange={(event) => setSecond(event.currentTarget.checked)} /> a
            second person confirms how a case is closed
          </label>
        </section>
        <div>
          <button type="submit" class="button main" disabled={busy || name === ""}>
            Make the pipeline
          </button>
        </div>
      </form>
    </Drawer>
  );
}
