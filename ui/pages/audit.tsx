// Audit: who changed what, when, and how it was before and after; each entry seals the one before.
import { type Answer, ask, urlOf } from "../api.ts";
import { count, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Empty, Foreign, Pairs, Panel, Shown, When } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { type Column, List } from "../parts/list.tsx";
import { PagerButtons, usePager } from "../parts/pager.tsx";
import { go, hrefOf, setQuery, usePlace } from "../route.ts";

type Entry = Answer<"GET /api/audit">[number];

const PAGE_ROWS = 100;

export function Audit() {
  const { query, id } = usePlace();
  const { pipeline, actor, subject, cursor } = query;
  const asked = { pipeline, actor, subject, cursor, limit: PAGE_ROWS };
  const page = useLoaded(JSON.stringify(["audit", asked]), (signal) => ask("GET /api/audit", { query: asked, signal }));
  const pager = usePager(page.value?.next ?? null);
  const open = page.value?.body.find(({ index }) => String(index) === id) ?? null;
  return (
    <>
      <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        <input
          class="input"
          placeholder="Who"
          aria-label="Who"
          maxLength={200}
          value={actor ?? ""}
          onChange={(event) => setQuery({ actor: event.currentTarget.value, cursor: undefined })}
        />
        <input
          class="input"
          placeholder="Kind: rules, case…"
          aria-label="What kind"
          maxLength={100}
          value={subject ?? ""}
          onChange={(event) => setQuery({ subject: event.currentTarget.value, cursor: undefined })}
        />
      </form>
      <Panel
        title="Changes"
        flush
        hint={pager.place ?? "newest first"}
        json={urlOf("GET /api/audit", { query: asked })}
      >
        <Shown of={page}>
          {({ body }) =>
            body.length === 0 ? (
              <Empty title="Nothing was changed" />
            ) : (
              <List
                label="Changes"
                rows={body}
                columns={COLUMNS}
                keyOf={({ index }) => String(index)}
                opened={id}
                onOpen={({ index }) => go(hrefOf("audit", { id: index, query }))}
              />
            )
          }
        </Shown>
      </Panel>
      <PagerButtons of={pager} words={["Newer", "Older"]} />
      {open === null ? null : <Detail of={open} onClose={() => go(hrefOf("audit", { query }))} />}
    </>
  );
}

const COLUMNS: readonly Column<Entry>[] = [
  { name: "When", show: ({ at }) => <When at={at} />, kind: "fit" },
  { name: "Who", show: ({ actor }) => <Foreign text={actor} max={40} />, kind: "short" },
  { name: "What", show: ({ action }) => <span class="mono">{seen(action, 60)}</span>, kind: "fit" },
  {
    name: "Of",
    show: ({ subject_id: id, pipeline }) => (
      <>
        <Foreign text={id} max={80} mono />{" "}
        {pipeline === null || pipeline === id ? null : <span class="faint">{seen(pipeline, 40)}</span>}
      </>
    ),
    kind: "clip",
  },
  { name: "Why", show: ({ reason }) => <Foreign text={reason} max={160} />, kind: "short rest" },
  { name: "Entry", show: ({ index }) => `#${count(index)}`, kind: "num fit rest" },
];

function Detail({ of, onClose }: { readonly of: Entry; readonly onClose: () => void }) {
  const names = [...new Set([...membersOf(of.before), ...membersOf(of.after)])];
  return (
    <Drawer
      label={`Entry ${of.index}`}
      onClose={onClose}
      head={
        <>
          <b class="mono">{seen(of.action, 60)}</b>
          <span class="faint">
            #{of.index} · <When at={of.at} />
          </span>
        </>
      }
    >
      <Pairs
        of={[
          ["who", <Foreign key="a" text={of.actor} />],
          ["of", <Foreign key="s" text={`${of.subject} ${of.subject_id}`} />],
          ["pipeline", <Foreign key="p" text={of.pipeline} />],
          ["why", <Foreign key="r" text={of.reason === "" ? null : of.reason} max={1000} />],
        ]}
      />
      <section aria-label="Before and after">
        <h3>Before and after</h3>
        <div class="split">
          <Side name="Before" of={of.before} names={names} other={of.after} />
          <Side name="After" of={of.after} names={names} other={of.before} />
        </div>
      </section>
    </Drawer>
  );
}

function membersOf(value: unknown): readonly string[] {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? Object.keys(value) : [];
}

const memberOf = (value: unknown, name: string): unknown =>
  value !== null && typeof value === "object" ? (value as Readonly<Record<string, unknown>>)[name] : undefined;

/** What is empty is drawn as what is not there. */
const blankless = (value: unknown): unknown => (value === "" || value === undefined || value === null ? "–" : value);

function Side({
  name,
  of,
  names,
  other,
}: {
  readonly name: string;
  readonly of: unknown;
  readonly names: readonly string[];
  readonly other: unknown;
}) {
  if (of === null || of === undefined) {
    return (
      <div>
        <h3>{name}</h3>
        <p class="faint">nothing</p>
      </div>
    );
  }
  if (names.length === 0) {
    return (
      <div>
        <h3>{name}</h3>
        <pre class="rule-text">{seen(of, 4000)}</pre>
      </div>
    );
  }
  return (
    <div>
      <h3>{name}</h3>
      <dl class="pairs">
        {names.map((one) => {
          const isChanged = JSON.stringify(memberOf(of, one)) !== JSON.stringify(memberOf(other, one));
          return (
            <div key={one} class={isChanged ? "lit" : undefined}>
              <dt>{seen(one, 60)}</dt>
              <dd>
                <Foreign text={blankless(memberOf(of, one))} max={2000} />
              </dd>
            </div>
          );
        })}
      </dl>
    </div>
  );
}
