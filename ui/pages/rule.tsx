// One rule: written with completion and a check at every pause, tried on the past in place, and switched from stage to stage.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Answer, ask, type Fault, get } from "../api.ts";
import { count, counted, money, percent, seen } from "../format.ts";
import { faultOf, useLoaded } from "../load.ts";
import { FaultBox, Foreign, Pairs, Tag } from "../parts/basic.tsx";
import { Drawer } from "../parts/drawer.tsx";
import { attempt } from "../parts/toast.tsx";
import { hrefOf } from "../route.ts";
import { useMay } from "../session.ts";
import { type Draft, Precision, type Rule } from "./rules.tsx";

type Did = Answer<"GET /api/pipelines/{id}/performance">["rules"][number];
type Checked = Answer<"POST /api/rules/check">;
type Vocabulary = Answer<"GET /api/pipelines/{id}/vocabulary">;

const PAUSE_MS = 250;
const STAGES: readonly Rule["stage"][] = ["draft", "shadow", "rollout", "live", "off"];
const EMPTY: Draft = { rule_expression: "", description: "", severity: "warning", action: "review" };

export function RuleDrawer({
  slug,
  rule,
  did,
  draft,
  isNew,
  onClose,
  onChanged,
}: {
  readonly slug: string;
  readonly rule: Rule | null;
  readonly did: Did | null;
  readonly draft: Draft | null;
  readonly isNew: boolean;
  readonly onClose: () => void;
  readonly onChanged: () => void;
}) {
  const mayWrite = useMay("analyst");
  const [own, setOwn] = useState<Draft>(draft ?? EMPTY);
  const [stage, setStage] = useState<Rule["stage"]>("shadow");
  const [busy, setBusy] = useState(false);
  const known = useRef<string | null>(null);
  useEffect(() => {
    // Another version of the rule came: what nobody changed here follows it.
    if (rule === null || known.current === rule.etag) return;
    known.current = rule.etag;
    setOwn({
      rule_expression: rule.rule_expression,
      description: rule.description,
      severity: rule.severity,
      action: rule.action,
    });
    setStage(rule.stage);
  }, [rule]);
  const { checked, fault } = useCheck(slug, own.rule_expression);
  const doing = async (work: () => Promise<unknown>, done: string): Promise<boolean> => {
    setBusy(true);
    const isDone = await attempt(work, done);
    setBusy(false);
    if (isDone) onChanged();
    return isDone;
  };
  const save = async (): Promise<void> => {
    if (isNew) {
      if (
        await doing(
          () => get("POST /api/pipelines/{id}/rules", { at: { id: slug }, body: { ...own, stage } }),
          `The rule is in stage ${stage}`,
        )
      )
        onClose();
      return;
    }
    await doing(
      () => ask("PATCH /api/rules/{rule}", { at: { rule: rule!.id }, body: own, match: rule!.etag }),
      "Saved",
    );
  };
  const move = (to: Rule["stage"]): Promise<boolean> =>
    doing(
      () => ask("PATCH /api/rules/{rule}", { at: { rule: rule!.id }, body: { stage: to }, match: rule!.etag }),
      `The rule is in stage ${to}`,
    );
  const isChanged = rule !== null && (Object.keys(own) as (keyof Draft)[]).some((name) => own[name] !== rule[name]);
  const title = isNew ? "New rule" : (rule?.name ?? "Rule");
  return (
    <Drawer
      label={`Rule ${title}`}
      onClose={onClose}
      head={
        <>
          {rule === null ? null : <Tag word={rule.stage} />}
          <b>{seen(title, 60)}</b>
          {rule === null ? null : <span class="faint">owner {seen(rule.owner, 40)}</span>}
        </>
      }
      foot={
        !mayWrite || (rule === null && !isNew) ? undefined : isNew ? (
          <>
            <button
              type="button"
              class="button main"
              disabled={busy || checked?.ok !== true}
              onClick={() => void save()}
            >
              Add in stage {stage}
            </button>
            <select
              class="select"
              style={{ width: "auto" }}
              aria-label="Stage"
              value={stage}
              onChange={(event) => setStage(event.currentTarget.value as Rule["stage"])}
            >
              {STAGES.filter((one) => one !== "off").map((one) => (
                <option key={one}>{one}</option>
              ))}
            </select>
          </>
        ) : (
          <>
            <button
              type="button"
              class="button main"
              disabled={busy || !isChanged || checked?.ok !== true}
              onClick={() => void save()}
            >
              Save
            </button>
            {STAGES.filter((one) => one !== rule!.stage).map((one) => (
              <button
                key={one}
                type="button"
                class={one === "off" ? "button danger" : "button"}
                disabled={busy || isChanged}
                onClick={() => void move(one)}
              >
                {one === "live" ? "Make live" : one === "off" ? "Switch off" : `To ${one}`}
              </button>
            ))}
          </>
        )
      }
    >
      {rule === null && !isNew ? (
        <p class="spin">There is no such rule in this pipeline.</p>
      ) : (
        <>
          <section aria-label="Condition">
            <h3>Condition</h3>
            <Editor
              slug={slug}
              text={own.rule_expression}
              checked={checked}
              readOnly={!mayWrite}
              onChange={(text) => setOwn({ ...own, rule_expression: text })}
            />
            {fault === null ? null : <FaultBox fault={fault} />}
          </section>
          <section aria-label="About" class="split">
            <label class="field" style={{ gridColumn: "1 / -1" }}>
              <span>Description</span>
              <input
                class="input"
                maxLength={1000}
                value={own.description}
                readOnly={!mayWrite}
                placeholder="What an analyst reads in the alert"
                onInput={(event) => setOwn({ ...own, description: event.currentTarget.value })}
              />
            </label>
            <label class="field">
              <span>Severity</span>
              <select
                class="select"
                value={own.severity}
                disabled={!mayWrite}
                onChange={(event) => setOwn({ ...own, severity: event.currentTarget.value as Draft["severity"] })}
              >
                <option>critical</option>
                <option>warning</option>
                <option>info</option>
              </select>
            </label>
            <label class="field">
              <span>Action</span>
              <select
                class="select"
                value={own.action}
                disabled={!mayWrite}
                onChange={(event) => setOwn({ ...own, action: event.currentTarget.value as Draft["action"] })}
              >
                <option>block</option>
                <option>review</option>
                <option>approve</option>
                <option>tag</option>
              </select>
            </label>
          </section>
          {mayWrite ? (
            <Backtest slug={slug} text={own.rule_expression} action={own.action} isGood={checked?.ok === true} />
          ) : null}
          {did === null ? null : (
            <section aria-label="What it did">
              <h3>What it did</h3>
              <Pairs
                of={[
                  [
                    "fired",
                    `${count(did.fired)} deciding, ${count(did.shadow)} in shadow, on ${counted(did.entities, "entity", "entities")}`,
                  ],
                  ["decided", count(did.decided)],
                  ["only this rule", `${count(did.alone)}, ${count(did.caught_alone)} of them known fraud`],
                  ["known truth", `${count(did.frauds)} fraud, ${count(did.genuine)} genuine`],
                  ["precision", <Precision key="p" of={did.precision} />],
                ]}
              />
              {rule === null ? null : (
                <p>
                  <a class="linkish" href={hrefOf("alerts", { query: { rule: rule.id, pipeline: slug } })}>
                    Its alerts
                  </a>
                </p>
              )}
            </section>
          )}
        </>
      )}
    </Drawer>
  );
}

/** The check of what is written, a moment after the last key. */
function useCheck(slug: string, text: string): { readonly checked: Checked | null; readonly fault: Fault | null } {
  const [state, setState] = useState<{ readonly checked: Checked | null; readonly fault: Fault | null }>({
    checked: null,
    fault: null,
  });
  useEffect(() => {
    if (text.trim() === "") {
      setState({ checked: null, fault: null });
      return;
    }
    const stop = new AbortController();
    const timer = setTimeout(() => {
      get("POST /api/rules/check", { body: { pipeline_id: slug, rule_expression: text }, signal: stop.signal }).then(
        (checked) => {
          if (!stop.signal.aborted) setState({ checked, fault: null });
        },
        (error: unknown) => {
          if (!stop.signal.aborted) setState({ checked: null, fault: faultOf(error) });
        },
      );
    }, PAUSE_MS);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [slug, text]);
  return state;
}

const OFFERS_MAX = 8;

/** A field with words offered for the one that is being written; Tab or Enter takes one. */
function Editor({
  slug,
  text,
  checked,
  readOnly,
  onChange,
}: {
  readonly slug: string;
  readonly text: string;
  readonly checked: Checked | null;
  readonly readOnly: boolean;
  readonly onChange: (text: string) => void;
}) {
  const words = useLoaded(`vocabulary ${slug}`, (signal) =>
    get("GET /api/pipelines/{id}/vocabulary", { at: { id: slug }, signal }),
  );
  const [at, setAt] = useState(0);
  const [chosen, setChosen] = useState(0);
  const [isOpen, setOpen] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const begun = /[A-Za-z_][\w.]*$/.exec(text.slice(0, at))?.[0] ?? "";
  const offers = !isOpen || begun === "" || words.value === null ? [] : offersOf(words.value, begun);
  const take = (offer: Offer): void => {
    const before = text.slice(0, at - begun.length) + offer.insert;
    const after = before + text.slice(at);
    onChange(after);
    setAt(before.length);
    setOpen(false);
    const area = field.current;
    if (area === null) return;
    // At once, and not when the page is drawn again: by then the next letters may be there, and would go on behind the cursor.
    area.value = after;
    area.focus();
    area.setSelectionRange(before.length, before.length);
  };
  const pressed = (event: KeyboardEvent): void => {
    if (offers.length === 0) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setChosen((chosen + (event.key === "ArrowDown" ? 1 : offers.length - 1)) % offers.length);
    } else if (event.key === "Tab" || event.key === "Enter") {
      event.preventDefault();
      take(offers[Math.min(chosen, offers.length - 1)]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
    }
  };
  const fault = checked?.fault ?? null;
  return (
    <div class="editor">
      <textarea
        ref={field}
        class="area mono"
        rows={5}
        spellcheck={false}
        aria-label="Condition"
        aria-invalid={fault !== null}
        aria-describedby="rule-check"
        aria-autocomplete="list"
        aria-controls={offers.length === 0 ? undefined : "rule-offers"}
        readOnly={readOnly}
        placeholder="amount > 1000 AND count_last('5m', user_id) >= 3"
        value={text}
        onInput={(event) => {
          onChange(event.currentTarget.value);
          setAt(event.currentTarget.selectionStart);
          setChosen(0);
          setOpen(true);
        }}
        onClick={(event) => setAt(event.currentTarget.selectionStart)}
        onBlur={() => setOpen(false)}
        onKeyDown={pressed}
      />
      {offers.length === 0 ? null : (
        <div class="offers" id="rule-offers" role="listbox" aria-label="Words">
          {offers.map((offer, place) => (
            // biome-ignore lint/a11y/useFocusableInteractive: the field keeps the focus, arrows choose
            // biome-ignore lint/a11y/useKeyWithClickEvents: Tab and Enter take it in the field
            <div
              key={offer.insert}
              role="option"
              aria-selected={place === Math.min(chosen, offers.length - 1)}
              onPointerDown={(event) => event.preventDefault()}
              onClick={() => take(offer)}
            >
              <code>{seen(offer.word, 40)}</code>
              <span class="faint">{seen(offer.kind, 60)}</span>
            </div>
          ))}
        </div>
      )}
      <p id="rule-check" role="status" class={fault === null ? "soft" : "bad"}>
        {checked === null ? (
          "Columns, features, windows and lists are offered as you write."
        ) : fault !== null ? (
          <>
            {fault.line === null ? "" : `Line ${fault.line}, column ${fault.column}: `}
            {seen(fault.message)} <span class="soft">{seen(fault.hint)}</span>
          </>
        ) : (
          <>
            <span class="good">It can be read.</span> Reads{" "}
            <Foreign text={checked.reads.join(", ") || "nothing"} max={300} />
            {checked.needs_model ? "; asks the model" : ""}
          </>
        )}
      </p>
    </div>
  );
}

interface Offer {
  readonly word: string;
  readonly kind: string;
  readonly insert: string;
}

function offersOf(words: Vocabulary, begun: string): readonly Offer[] {
  const all: readonly Offer[] = [
    ...words.columns.map(({ name, type }) => ({ word: name, kind: type, insert: name })),
    ...words.windows.map(({ name, example }) => ({ word: name, kind: example, insert: example })),
    ...words.features.map((name) => ({ word: name, kind: "feature", insert: name })),
    ...words.lists.map(({ name, values }) => ({
      word: name,
      kind: `list of ${values}`,
      insert: `(SELECT value FROM ${name})`,
    })),
    ...words.functions.map((name) => ({ word: name, kind: "function", insert: `${name}(` })),
  ];
  const like = begun.toLowerCase();
  const isWritten = (one: Offer): boolean => one.insert.toLowerCase() === like;
  return all
    .filter(({ word }) => word.toLowerCase().includes(like))
    .filter((one) => !isWritten(one))
    .sort((one, other) => rank(one, like) - rank(other, like))
    .slice(0, OFFERS_MAX);
}

const rank = ({ word }: Offer, like: string): number => (word.toLowerCase().startsWith(like) ? 0 : 1);

interface Tested {
  readonly rows: number;
  readonly fires: number;
  readonly alerts_per_day: number | null;
  readonly entities: number;
  readonly frauds: number;
  readonly only_me: number;
  readonly unknowable: number;
  readonly immature: number;
  readonly precision: { readonly value: number | null; readonly low: number | null; readonly high: number | null };
  readonly recall: { readonly value: number | null; readonly low: number | null; readonly high: number | null };
  readonly beyond_model: { readonly frauds: number; readonly hits: number } | null;
  readonly money: { readonly frauds: number; readonly only_me: number } | null;
  readonly verdict: { readonly verdict: string; readonly reasons: readonly string[] };
  readonly notes: readonly string[];
}

function Backtest({
  slug,
  text,
  action,
  isGood,
}: {
  readonly slug: string;
  readonly text: string;
  readonly action: Rule["action"];
  readonly isGood: boolean;
}) {
  const [asked, setAsked] = useState<string | null>(null);
  const question = JSON.stringify([text, action]);
  const tested = useLoaded(asked === question ? `backtest ${slug} ${question}` : null, (signal) =>
    get("POST /api/rules/backtest", { body: { pipeline_id: slug, rule_expression: text, action }, signal }),
  );
  const of = tested.value as Tested | null;
  return (
    <section aria-label="Backtest">
      <div class="row even">
        <h3>On the past</h3>
        <button
          type="button"
          class="button small"
          disabled={!isGood || tested.busy}
          onClick={() => (asked === question ? tested.again() : setAsked(question))}
        >
          {tested.busy ? "Computing…" : "Backtest on the log"}
        </button>
      </div>
      {tested.fault === null ? null : <FaultBox fault={tested.fault} />}
      {of === null ? null : (
        <>
          <p class="row">
            <Tag word={of.verdict.verdict} />
            <span class="soft">{seen(of.verdict.reasons.join("; "), 500)}</span>
          </p>
          <Pairs
            of={[
              [
                "fires",
                `${count(of.fires)} of ${counted(of.rows, "transaction")} (${percent(of.rows === 0 ? null : of.fires / of.rows)}), of ${counted(of.entities, "entity", "entities")}`,
              ],
              ["alerts per day", of.alerts_per_day === null ? "–" : of.alerts_per_day.toFixed(1)],
              ["precision", <Precision key="p" of={of.precision} />],
              ["recall", <Precision key="r" of={of.recall} />],
              [
                "frauds caught",
                `${count(of.frauds)}; no other rule finds ${count(of.only_me)} of them${of.beyond_model === null ? "" : `, the model misses ${count(of.beyond_model.frauds)}`}`,
              ],
              ...(of.money === null
                ? []
                : [
                    [
                      "money of frauds",
                      `${money(of.money.frauds)}; no other rule finds ${money(of.money.only_me)} of it`,
                    ] as const,
                  ]),
              [
                "not judged",
                `${count(of.immature)} whose label may still come, ${count(of.unknowable)} that were blocked and have none`,
              ],
            ]}
          />
          {of.notes.map((note) => (
            <p key={note} class="faint">
              {seen(note)}
            </p>
          ))}
        </>
      )}
    </section>
  );
}
