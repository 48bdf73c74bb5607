// Cases: the queue, taken one by one: c claims, n takes the next, f, l and u close; what is open beside the list is the case that is worked.
import { type Answer, ask, get, urlOf } from "../api.ts";
import { ago, count, duration, money } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../load.ts";
import { Choice, Empty, Foreign, Panel, Shown, Tag, Tile, When } from "../parts/basic.tsx";
import { type Column, List } from "../parts/list.tsx";
import { PagerButtons, usePager } from "../parts/pager.tsx";
import { attempt, tell } from "../parts/toast.tsx";
import { go, hrefOf, setQuery, usePlace } from "../route.ts";
import { useDesk, useMay } from "../session.ts";
import { CaseDrawer } from "./case.tsx";

export type Case = Answer<"GET /api/cases">["cases"][number];

const EVERY_MS = 5000;
const PAGE_ROWS = 50;
const STATUSES = [
  ["open", "Open"],
  ["new", "New"],
  ["working", "Working"],
  ["waiting", "Waiting"],
  ["closed", "Closed"],
] as const;
type Status = (typeof STATUSES)[number][0];

export function Cases() {
  const { query, id } = usePlace();
  const { pipelines, session } = useDesk();
  const mayWork = useMay("analyst");
  const status = (query.status ?? "open") as Status;
  const asked = {
    status,
    // Closed ones have no worth any more: the newest come first.
    order: status === "closed" ? ("newest" as const) : ("worth" as const),
    pipeline: query.pipeline === "" ? undefined : query.pipeline,
    severity: query.severity as Case["severity"] | undefined,
    assignee: query.mine === "1" ? (session.name ?? undefined) : undefined,
    q: query.q,
    limit: PAGE_ROWS,
    cursor: query.cursor,
  };
  const page = useLoaded(
    JSON.stringify(["cases", asked]),
    (signal) => get("GET /api/cases", { query: asked, signal }),
    { everyMs: EVERY_MS },
  );
  const pager = usePager(page.value?.next_cursor ?? null);
  const filtered = (change: Readonly<Record<string, string | undefined>>): void =>
    setQuery({ ...change, cursor: undefined });
  const takeNext = async (): Promise<void> => {
    await attempt(async () => {
      const body = asked.pipeline === undefined ? {} : { pipeline: asked.pipeline };
      const { body: taken } = await ask("POST /api/cases/next", { body });
      if (taken === null) tell("No case is free: the queue is empty");
      else go(hrefOf("cases", { id: taken.id, query }));
      page.again();
    }, null);
  };
  useKeys(mayWork ? [{ key: "n", what: "Claim the next case", run: () => void takeNext() }] : []);
  return (
    <>
      <Summary pipeline={asked.pipeline} />
      <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
        <input
          type="search"
          class="input search"
          placeholder="Search entities, people, reasons"
          aria-label="Search cases"
          maxLength={200}
          value={query.q ?? ""}
          onChange={(event) => filtered({ q: event.currentTarget.value })}
        />
        <Choice
          label="Status"
          words={STATUSES}
          chosen={status}
          onChoose={(word) => filtered({ status: word === "open" ? undefined : word })}
        />
        <select
          class="select"
          aria-label="Severity"
          value={query.severity ?? ""}
          onChange={(event) => filtered({ severity: event.currentTarget.value })}
        >
          <option value="">Any severity</option>
          <option value="critical">Critical</option>
          <option value="warning">Warning</option>
          <option value="info">Info</option>
        </select>
        <label class="row">
          <input
            type="checkbox"
            checked={query.mine === "1"}
            onChange={(event) => filtered({ mine: event.currentTarget.checked ? "1" : undefined })}
          />{" "}
          mine
        </label>
        <span class="grow" />
        {mayWork ? (
          <button type="button" class="button main" onClick={() => void takeNext()}>
            Next case <kbd>n</kbd>
          </button>
        ) : null}
      </form>
      <Panel
        title="Queue"
        flush
        hint={status === "closed" ? "closed last first" : "most loss prevented per minute first"}
        json={urlOf("GET /api/cases", { query: asked })}
      >
        <Shown of={page}>
          {({ cases }) =>
            cases.length === 0 ? (
              <Empty title={status === "open" ? "Nothing waits" : "No case matches"}>
                <span>An alert opens a case within a second, one per entity.</span>
              </Empty>
            ) : (
              <List
                label="Cases"
                rows={cases}
                columns={columnsOf(pipelines.length > 1)}
                keyOf={(one) => String(one.id)}
                opened={id}
                onOpen={(one) => go(hrefOf("cases", { id: one.id, query }))}
              />
            )
          }
        </Shown>
      </Panel>
      <PagerButtons of={pager} words={["Before", "More"]} />
      {id === "" ? null : (
        <CaseDrawer
          key={id}
          id={id}
          onClose={() => go(hrefOf("cases", { query }))}
          onChanged={page.again}
          onNext={() => void takeNext()}
        />
      )}
    </>
  );
}

function columnsOf(several: boolean): readonly Column<Case>[] {
  return [
    { name: "Severity", show: ({ severity }) => <Tag word={severity} />, kind: "fit" },
    {
      name: "Entity",
      show: ({ entity, entity_column: column }) => (
        <>
          <Foreign text={entity} max={60} mono /> <span class="faint rest">{column}</span>
        </>
      ),
      kind: "clip",
    },
    { name: "Status", show: ({ status, disposition }) => <Tag word={disposition ?? status} />, kind: "fit" },
    { name: "Alerts", show: ({ alert_count: alerts }) => count(alerts), kind: "num fit rest" },
    { name: "Amount", show: ({ amount }) => money(amount), kind: "num fit rest" },
    { name: "At stake", show: ({ expected_loss: loss }) => money(loss), kind: "num fit" },
    { name: "Minutes", show: ({ review_minutes: minutes }) => minutes.toFixed(0), kind: "num fit rest" },
    {
      name: "Due",
      show: ({ due_at: at, overdue, status }) =>
        status === "closed" ? (
          "–"
        ) : (
          <span class={overdue ? "bad" : undefined}>
            {overdue ? ago(at) : `in ${duration(Date.parse(at) - Date.now())}`}
          </span>
        ),
      kind: "num fit",
    },
    { name: "Whose", show: ({ assignee }) => <Foreign text={assignee} max={30} />, kind: "short rest" },
    { name: "Opened", show: ({ opened_at: at }) => <When at={at} />, kind: "fit rest" },
    ...(several
      ? [{ name: "Pipeline", show: ({ pipeline }: Case) => <Foreign text={pipeline} max={30} />, kind: "fit rest" }]
      : []),
  ];
}

function Summary({ pipeline }: { readonly pipeline: string | undefined }) {
  const query = pipeline === undefined ? {} : { pipeline };
  const { value } = useLoaded(
    `cases summary ${pipeline}`,
    (signal) => get("GET /api/cases/summary", { query, signal }),
    { everyMs: EVERY_MS },
  );
  if (value === null) return null;
  const old = value.open_by_age.filter(({ days }) => days >= 1).reduce((sum, one) => sum + one.count, 0);
  const critical = value.open_by_age
    .filter(({ severity }) => severity === "critical")
    .reduce((sum, one) => sum + one.count, 0);
  const closed = (word: string): number =>
    value.closed_by_day.filter(({ disposition }) => disposition === word).reduce((sum, one) => sum + one.count, 0);
  const [frauds, genuine] = [closed("fraud"), closed("genuine")];
  return (
    <div class="tiles" style={{ marginBottom: "12px" }}>
      <Tile name="Open" figure={count(value.open)}>
        <span>{count(critical)} critical</span>
      </Tile>
      <Tile name="Overdue" figure={<span class={value.overdue > 0 ? "bad" : undefined}>{count(value.overdue)}</span>} />
      <Tile name="Older than a day" figure={count(old)} />
      <Tile name="Closed as fraud, 31 days" figure={count(frauds)}>
        <span>{count(genuine)} genuine</span>
        <span>{count(closed("unknown"))} unknown</span>
      </Tile>
      <Tile
        name="Precision of closed cases"
        figure={frauds + genuine === 0 ? "–" : `${((100 * frauds) / (frauds + genuine)).toFixed(1)} %`}
      />
    </div>
  );
}
