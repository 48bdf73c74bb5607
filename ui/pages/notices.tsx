// Notifications: who is told, what waits for whom, and what nobody took, which can be sent again.
import { get, urlOf } from "../api.ts";
import { ago, count, seen } from "../format.ts";
import { useLoaded } from "../load.ts";
import { Choice, Empty, Foreign, Panel, Shown, Tag, When } from "../parts/basic.tsx";
import { Rows } from "../parts/list.tsx";
import { PagerButtons, usePager } from "../parts/pager.tsx";
import { attempt } from "../parts/toast.tsx";
import { setQuery, usePlace } from "../route.ts";
import { useMay } from "../session.ts";

interface Target {
  readonly name: string;
  readonly kind: string | null;
  readonly waiting: number;
  readonly oldest_at: string | null;
  readonly dead: number;
  readonly sent: number;
}

interface Message {
  readonly id: number;
  readonly target: string;
  readonly notice: string;
  readonly pipeline: string | null;
  readonly created_at: string;
  readonly tries: number;
  readonly cause: string;
}

const EVERY_MS = 10_000;
const KINDS = [
  ["dead", "Nobody took"],
  ["waiting", "On their way"],
] as const;

export function Notices() {
  const { query } = usePlace();
  const maySend = useMay("admin");
  const of = query.of === "waiting" ? "waiting" : "dead";
  const asked = { of, cursor: query.cursor } as const;
  const page = useLoaded(
    JSON.stringify(["notices", asked]),
    (signal) => get("GET /api/notifications", { query: asked, signal }),
    {
      everyMs: EVERY_MS,
    },
  );
  const pager = usePager(page.value?.next_cursor ?? null);
  const json = urlOf("GET /api/notifications", { query: asked });
  const again = async (id: number): Promise<void> => {
    if (
      await attempt(
        () => get("POST /api/notifications/{message}/retry", { at: { message: id } }),
        "It waits to be sent",
      )
    )
      page.again();
  };
  return (
    <Shown of={page}>
      {(value) => {
        const targets = value.targets as unknown as readonly Target[];
        const messages = value.messages as unknown as readonly Message[];
        return (
          <div class="stack">
            <Panel title="Receivers" flush json={json}>
              {targets.length === 0 ? (
                <Empty title="Nobody is told yet">
                  <span>
                    <code>notifications.yaml</code> in the workspace says who is told of what.
                  </span>
                </Empty>
              ) : (
                <Rows
                  label="Receivers"
                  rows={targets}
                  keyOf={({ name }) => name}
                  columns={[
                    { name: "Receiver", show: ({ name }) => <Foreign text={name} max={60} />, kind: "strong" },
                    { name: "By", show: ({ kind }) => kind ?? <span class="faint">named no more</span>, kind: "fit" },
                    { name: "Sent", show: ({ sent }) => count(sent), kind: "num fit" },
                    { name: "Waiting", show: ({ waiting }) => count(waiting), kind: "num fit" },
                    {
                      name: "Oldest",
                      show: ({ oldest_at: at }) => (at === null ? "–" : ago(at)),
                      kind: "num fit rest",
                    },
                    {
                      name: "Nobody took",
                      show: ({ dead }) => <span class={dead > 0 ? "bad" : undefined}>{count(dead)}</span>,
                      kind: "num fit",
                    },
                  ]}
                />
              )}
            </Panel>
            <div class="filters">
              <Choice
                label="Which"
                words={KINDS}
                chosen={of}
                onChoose={(word) => setQuery({ of: word === "dead" ? undefined : word, cursor: undefined })}
              />
            </div>
            <Panel title="Messages" flush json={json}>
              {messages.length === 0 ? (
                <Empty title={of === "dead" ? "Everything was delivered" : "Nothing waits"} />
              ) : (
                <Rows
                  label="Messages"
                  rows={messages}
                  keyOf={({ id }) => String(id)}
                  columns={[
                    { name: "When", show: ({ created_at: at }) => <When at={at} />, kind: "fit" },
                    { name: "What", show: ({ notice }) => <Tag word={notice} />, kind: "fit" },
                    { name: "To", show: ({ target }) => <Foreign text={target} max={40} />, kind: "fit" },
                    {
                      name: "Pipeline",
                      show: ({ pipeline }) => <Foreign text={pipeline} max={40} />,
                      kind: "fit rest",
                    },
                    { name: "Tries", show: ({ tries }) => count(tries), kind: "num fit rest" },
                    { name: "Cause", show: ({ cause }) => seen(cause, 300), kind: "clip" },
                    {
                      name: "",
                      show: ({ id }) =>
                        maySend ? (
                          <button type="button" class="button small" onClick={() => void again(id)}>
                            Send again
                          </button>
                        ) : null,
                      kind: "fit",
                    },
                  ]}
                />
              )}
            </Panel>
            <PagerButtons of={pager} words={["Newer", "Older"]} />
          </div>
        );
      }}
    </Shown>
  );
}
