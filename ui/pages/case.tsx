// One case: its alerts, what is known of its entity, notes and history; claimed, put off, and closed with a label.
import { useState } from "preact/hooks";
import { type Answer, get, urlOf } from "../api.ts";
import { ago, count, counted, duration, money, score, seen } from "../format.ts";
import { useKeys } from "../keys.ts";
import { useLoaded } from "../load.ts";
import { Foreign, Meter, Pairs, Shown, Tag, When } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { ReasonDialog } from "../parts/reason.tsx";
import { attempt } from "../parts/toast.tsx";
import { hrefOf } from "../route.ts";
import { useDesk, useMay } from "../session.ts";
import { EntityView } from "./entity.tsx";

type Whole = Answer<"GET /api/cases/{case}">;
type Disposition = "fraud" | "genuine" | "unknown";

const HOUR_MS = 3_600_000;
/** Characters of a reason, a comment or a note. */
const TEXT_MAX = 2000;
const WAITS = [
  [1, "an hour"],
  [4, "four hours"],
  [24, "a day"],
  [168, "a week"],
] as const;

export function CaseDrawer({
  id,
  onClose,
  onChanged,
  onNext,
}: {
  readonly id: string;
  readonly onClose: () => void;
  readonly onChanged: () => void;
  readonly onNext: () => void;
}) {
  const { session } = useDesk();
  const mayWork = useMay("analyst");
  const [asks, setAsks] = useState<Disposition | "wait" | "reopen" | null>(null);
  const one = useLoaded(`case ${id}`, (signal) => get("GET /api/cases/{case}", { at: { case: id }, signal }), {
    everyMs: 5000,
  });
  const { value } = one;
  const at = { case: id };
  const match = value?.etag === undefined ? undefined : `"${value.etag}"`;
  const done = async (work: () => Promise<unknown>, text: string): Promise<boolean> => {
    const isDone = await attempt(work, text);
    one.again();
    onChanged();
    return isDone;
  };
  const claim = (): void => void done(() => get("POST /api/cases/{case}/claim", { at }), "The case is yours");
  const isOpen = value !== null && value.status !== "closed";
  const isMine = value !== null && value.status === "working" && value.assignee === session.name;
  const isProposed = value !== null && value.proposed !== null && value.proposed !== undefined;
  const close = async (
    disposition: Disposition,
    reason: string,
    comment: string,
    transactions: readonly string[],
  ): Promise<void> => {
    setAsks(null);
    const body = { disposition, reason, comment, ...(transactions.length === 0 ? {} : { transactions }) };
    await done(() => get("POST /api/cases/{case}/close", { at, body, match }), `Closed as ${disposition}`);
  };
  useKeys(
    !mayWork || !isOpen
      ? []
      : [
          { key: "c", what: "Claim the case", run: claim },
          { key: "f", what: "Close as fraud", run: () => setAsks("fraud") },
          { key: "l", what: "Close as genuine", run: () => setAsks("genuine") },
          { key: "u", what: "Close as not to be told", run: () => setAsks("unknown") },
          { key: "w", what: "Put it off", run: () => setAsks("wait") },
        ],
  );
  return (
    <Drawer
      label={`Case ${id}`}
      onClose={onClose}
      head={
        value === null ? (
          <b>Case {seen(id, 20)}</b>
        ) : (
          <>
            <Tag word={value.severity} />
            <Tag word={value.disposition ?? value.status} />
            <b>
              <Foreign text={value.entity} max={40} mono />
            </b>
            <span class="faint">#{value.id}</span>
          </>
        )
      }
      foot={
        !mayWork || value === null ? undefined : isOpen ? (
          <>
            {isMine ? (
              <button
                type="button"
                class="button"
                onClick={() => void done(() => get("POST /api/cases/{case}/release", { at }), "Given back")}
              >
                Release
              </button>
            ) : (
              <button type="button" class="button main" onClick={claim}>
                Claim <kbd>c</kbd>
              </button>
            )}
            {isProposed ? (
              <button
                type="button"
                class="button main"
                onClick={() =>
                  void done(() => get("POST /api/cases/{case}/confirm", { at, match }), "Confirmed and closed")
                }
              >
                Confirm {value.proposed?.disposition}
              </button>
            ) : null}
            <button type="button" class="button danger" onClick={() => setAsks("fraud")}>
              Fraud <kbd>f</kbd>
            </button>
            <button type="button" class="button" onClick={() => setAsks("genuine")}>
              Genuine <kbd>l</kbd>
            </button>
            <button type="button" class="button" onClick={() => setAsks("unknown")}>
              Unknown <kbd>u</kbd>
            </button>
            <button type="button" class="button" onClick={() => setAsks("wait")}>
              Wait <kbd>w</kbd>
            </button>
          </>
        ) : (
          <>
            <button type="button" class="button main" onClick={onNext}>
              Next case <kbd>n</kbd>
            </button>
            <button type="button" class="button" onClick={() => setAsks("reopen")}>
              Reopen
            </button>
          </>
        )
      }
    >
      <Shown of={one}>
        {(of) => (
          <Inside
            of={of}
            mayWork={mayWork}
            onNote={(text) => done(() => get("POST /api/cases/{case}/note", { at, body: { text } }), "Noted")}
          />
        )}
      </Shown>
      {asks === "fraud" || asks === "genuine" || asks === "unknown" ? (
        <Closing
          disposition={asks}
          of={value}
          onClose={() => setAsks(null)}
          onSay={(reason, comment, transactions) => void close(asks, reason, comment, transactions)}
        />
      ) : asks === "wait" ? (
        <Wait
          onClose={() => setAsks(null)}
          onSay={(hours, reason) => {
            setAsks(null);
            const until = new Date(Date.now() + hours * HOUR_MS).toISOString();
            void done(
              () => get("POST /api/cases/{case}/wait", { at, body: { until, reason }, match }),
              `It waits for ${duration(hours * HOUR_MS)}`,
            );
          }}
        />
      ) : asks === "reopen" ? (
        <ReasonDialog
          title="Open the case again"
          label="Why"
          action="Open again"
          lengthMax={TEXT_MAX}
          onClose={() => setAsks(null)}
          onSay={(reason) => {
            setAsks(null);
            void done(() => get("POST /api/cases/{case}/reopen", { at, body: { reason }, match }), "Open again");
          }}
        />
      ) : null}
    </Drawer>
  );
}

/** What a rule or the score flagged is there whatever is drawn. */
const isDrawn = ({ propensity }: Pick<Whole, "propensity">): boolean => propensity !== null && propensity < 1;

function Inside({
  of,
  mayWork,
  onNote,
}: {
  readonly of: Whole;
  readonly mayWork: boolean;
  readonly onNote: (text: string) => Promise<boolean>;
}) {
  return (
    <>
      <section aria-label="At stake">
        <Pairs
          of={[
            ["at stake", `${money(of.expected_loss)} in ${of.review_minutes.toFixed(0)} min`],
            ["amount", money(of.amount)],
            [
              "highest score",
              <span key="s">
                {score(of.score)} {of.score === null ? null : <Meter share={of.score} tone="plot-review" />}
              </span>,
            ],
            ["reviewed because of", isDrawn(of) ? `${of.why}, drawn with chance ${of.propensity}` : of.why],
            ["opened", <When key="o" at={of.opened_at} />],
            [
              "due",
              <span key="d" class={of.overdue ? "bad" : undefined}>
                <When at={of.due_at} /> {of.overdue ? `(${ago(of.due_at)})` : ""}
              </span>,
            ],
            ["whose", <Foreign key="a" text={of.assignee} />],
            ...(of.waiting_until === null
              ? []
              : [
                  [
                    "waits until",
                    <span key="w">
                      <When at={of.waiting_until} /> {seen(of.waiting_reason, 200)}
                    </span>,
                  ] as const,
                ]),
            ...(of.closing === null || of.closing === undefined
              ? []
              : [
                  [
                    "closed",
                    <span key="c">
                      {of.closing.disposition}: {seen(of.closing.reason, 200)} {seen(of.closing.comment, 400)}{" "}
                      <span class="faint">by {seen(of.closing.by, 40)}</span>
                    </span>,
                  ] as const,
                ]),
          ]}
        />
      </section>
      <section aria-label="Alerts">
        <h3>Alerts ({count(of.alert_count)})</h3>
        <ul class="stack tight">
          {of.alerts.map((alert) => (
            <li key={alert.id}>
              <a class="alert-line" href={hrefOf("alerts", { id: alert.id })}>
                <span class="row">
                  <Tag word={alert.severity} />
                  <Tag word={alert.decision} />
                  <span class="faint">
                    <When at={alert.alert_timestamp} />
                  </span>
                  <span class="num">{money(alert.amount)}</span>
                </span>
                <Foreign text={alert.rule_description} max={200} />
              </a>
            </li>
          ))}
        </ul>
      </section>
      <EntityView column={of.entity_column} value={of.entity} pipeline={of.pipeline} />
      <Notes of={of} mayWork={mayWork} onNote={onNote} />
      {of.labels.length === 0 ? null : (
        <section aria-label="Labels">
          <h3>Labels written</h3>
          <ul class="stack tight">
            {of.labels.map((label) => (
              <li key={label.transaction_id} class="row">
                <Tag word={label.fraud ? "fraud" : "genuine"} />
                <Foreign text={label.transaction_id} max={60} mono />
                <span class="faint">
                  {seen(label.state, 40)}, reviewed because of {seen(label.why, 40)}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      {of.earlier.length === 0 ? null : (
        <section aria-label="Earlier cases">
          <h3>Earlier cases of this entity</h3>
          <ul class="stack tight">
            {of.earlier.map((other) => (
              <li key={other.id} class="row">
                <a href={hrefOf("cases", { id: other.id })}>#{other.id}</a>
                <Tag word={other.disposition ?? other.status} />
                <span class="faint">
                  <When at={other.opened_at} />, {counted(other.alert_count, "alert")}, {money(other.amount)}
                </span>
              </li>
            ))}
          </ul>
        </section>
      )}
      <p>
        <a
          class="linkish"
          href={urlOf("GET /api/cases/{case}", { at: { case: of.id } })}
          target="_blank"
          rel="noreferrer"
        >
          JSON
        </a>
      </p>
    </>
  );
}

function Notes({
  of,
  mayWork,
  onNote,
}: {
  readonly of: Whole;
  readonly mayWork: boolean;
  readonly onNote: (text: string) => Promise<boolean>;
}) {
  const [text, setText] = useState("");
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (text.trim() !== "" && (await onNote(text.trim()))) setText("");
  };
  return (
    <section aria-label="History">
      <h3>History</h3>
      <ul class="timeline">
        {of.history.map((one) => (
          <li key={`${one.at} ${one.action} ${one.text}`}>
            <span class="faint">
              <When at={one.at} />
            </span>
            <i class={one.action === "note" ? "dot fair" : "dot"} />
            <span>
              <b>{seen(one.action, 40)}</b>{" "}
              <span class="faint">
                <Foreign text={one.actor} max={40} />
              </span>{" "}
              <Foreign text={one.text} max={600} />
            </span>
          </li>
        ))}
      </ul>
      {mayWork ? (
        <form class="row" onSubmit={(event) => void send(event)}>
          <input
            class="input"
            style={{ flex: 1 }}
            aria-label="Note"
            placeholder="Add a note"
            maxLength={TEXT_MAX}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <button type="submit" class="button" disabled={text.trim() === ""}>
            Add
          </button>
        </form>
      ) : null}
    </section>
  );
}

const REASONS: Readonly<Record<Disposition, readonly string[]>> = {
  fraud: ["card stolen", "account taken over", "card tested", "merchant fraud"],
  genuine: ["customer confirmed", "known pattern", "rule too wide"],
  unknown: ["customer not reached", "no evidence either way"],
};

function Closing({
  disposition,
  of,
  onClose,
  onSay,
}: {
  readonly disposition: Disposition;
  readonly of: Whole | null;
  readonly onClose: () => void;
  readonly onSay: (reason: string, comment: string, transactions: readonly string[]) => void;
}) {
  const [comment, setComment] = useState("");
  const [linked, setLinked] = useState("");
  const ids = linked.split(/[\s,;]+/).filter((one) => one !== "");
  return (
    <ReasonDialog
      title={disposition === "unknown" ? "Close: it cannot be told" : `Close as ${disposition}`}
      text={
        disposition === "unknown"
          ? "No label is written."
          : `${of?.alert_count === 1 ? "The transaction" : `The ${count(of?.alert_count ?? 0)} transactions`} of this case will have the label ${disposition}, and the next models learn from it.`
      }
      label="Reason"
      action="Close the case"
      tone={disposition === "fraud" ? "danger" : "main"}
      usual={REASONS[disposition]}
      lengthMax={TEXT_MAX}
      onClose={onClose}
      onSay={(reason) => onSay(reason, comment.trim(), ids)}
    >
      <label class="field">
        <span>Comment</span>
        <textarea
          class="area"
          rows={3}
          maxLength={TEXT_MAX}
          value={comment}
          onInput={(event) => setComment(event.currentTarget.value)}
        />
      </label>
      {disposition === "unknown" ? null : (
        <label class="field">
          <span>Linked transactions that are {disposition} as well (ids)</span>
          <input class="input mono" value={linked} onInput={(event) => setLinked(event.currentTarget.value)} />
        </label>
      )}
    </ReasonDialog>
  );
}

function Wait({
  onClose,
  onSay,
}: {
  readonly onClose: () => void;
  readonly onSay: (hours: number, reason: string) => void;
}) {
  const [hours, setHours] = useState(24);
  return (
    <ReasonDialog
      title="Put the case off"
      label="What it waits for"
      action="Put it off"
      lengthMax={TEXT_MAX}
      onClose={onClose}
      onSay={(reason) => onSay(hours, reason)}
    >
      <label class="field">
        <span>For how long</span>
        <select class="select" value={hours} onChange={(event) => setHours(Number(event.currentTarget.value))}>
          {WAITS.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
    </ReasonDialog>
  );
}
