// Small parts that every page uses: panels, tags, foreign texts, faults, emptiness, tiles, choices.
import type { ComponentChildren } from "preact";
import type { Fault } from "../api.ts";
import { fullTime, moment, seen } from "../format.ts";
import type { Loaded } from "../load.ts";

/** A box with a title. `json`: where the figures stand as JSON. */
export function Panel({
  title,
  hint,
  json,
  rows,
  wide = "",
  flush = false,
  actions,
  children,
}: {
  readonly title: string;
  readonly hint?: ComponentChildren;
  readonly json?: string;
  readonly rows?: string;
  readonly wide?: string;
  readonly flush?: boolean;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  return (
    <section class={`panel ${wide}`} aria-label={title}>
      <header>
        <h2>{title}</h2>
        {hint === undefined ? null : <span class="hint">{hint}</span>}
        <span class="links">
          {actions}
          {rows === undefined ? null : (
            <a href={rows} aria-label={`Rows of ${title}`}>
              rows
            </a>
          )}
          {json === undefined ? null : (
            <a href={json} target="_blank" rel="noreferrer" aria-label={`${title} as JSON`}>
              JSON
            </a>
          )}
        </span>
      </header>
      <div class={flush ? "body flush" : "body"}>{children}</div>
    </section>
  );
}

type Tone = "red" | "amber" | "green" | "blue" | "violet" | "";
const TONES: Readonly<Record<string, Tone>> = {
  critical: "red",
  warning: "amber",
  info: "blue",
  block: "red",
  review: "amber",
  approve: "green",
  live: "green",
  rollout: "violet",
  shadow: "blue",
  draft: "",
  off: "",
  active: "green",
  paused: "amber",
  stopped: "red",
  ready: "green",
  degraded: "amber",
  "not ready": "red",
  new: "blue",
  working: "violet",
  waiting: "amber",
  closed: "",
  fraud: "red",
  genuine: "green",
  unknown: "",
  PROMOTE: "green",
  HOLD: "amber",
  REJECT: "red",
  pass: "green",
  fail: "red",
  valid: "green",
  expired: "",
  revoked: "",
};

/** A word of a closed list, in the colour that it has everywhere. */
export function Tag({ word, tone }: { readonly word: string; readonly tone?: Tone }) {
  return <span class={`tag ${tone ?? TONES[word] ?? ""}`}>{word}</span>;
}

/** A text that came from outside. */
export function Foreign({
  text,
  max,
  mono = false,
}: {
  readonly text: unknown;
  readonly max?: number;
  readonly mono?: boolean;
}) {
  return <bdi class={mono ? "data mono" : "data"}>{seen(text, max)}</bdi>;
}

export function When({ at }: { readonly at: string | number | null | undefined }) {
  return <time title={fullTime(at)}>{moment(at)}</time>;
}

/** Words of the server, of which those between backticks are code. */
function worded(text: string): ComponentChildren {
  return seen(text)
    .split("`")
    .map((part, place) => (place % 2 === 1 ? <code key={`${place} ${part}`}>{part}</code> : part));
}

export function FaultBox({ fault, again }: { readonly fault: Fault; readonly again?: () => void }) {
  return (
    <div class="fault" role="alert">
      <span>{worded(fault.message)}</span>
      {fault.problem.errors?.map(({ field, message }) => (
        <span key={field}>
          {seen(field)}: {seen(message)}
        </span>
      ))}
      {fault.problem.hint === "" ? null : <small>{worded(fault.problem.hint)}</small>}
      {again === undefined ? null : (
        <span>
          <button type="button" class="button small" onClick={again}>
            Try again
          </button>
        </span>
      )}
    </div>
  );
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <b>{title}</b>
      {children}
    </div>
  );
}

/** What was loaded, or why it is not there. */
export function Shown<T>({
  of,
  children,
}: {
  readonly of: Loaded<T>;
  readonly children: (value: T) => ComponentChildren;
}) {
  const { value, fault, again } = of;
  if (value === null) {
    return fault === null ? (
      <p class="spin" role="status">
        Loading…
      </p>
    ) : (
      <FaultBox fault={fault} again={again} />
    );
  }
  return (
    <>
      {fault === null ? null : <FaultBox fault={fault} again={again} />}
      {children(value)}
    </>
  );
}

export function Tile({
  name,
  figure,
  unit,
  href,
  children,
}: {
  readonly name: string;
  readonly figure: ComponentChildren;
  readonly unit?: string;
  readonly href?: string;
  readonly children?: ComponentChildren;
}) {
  const inside = (
    <>
      <span class="name">{name}</span>
      <span class="figure">
        {figure}
        {unit === undefined ? null : <small> {unit}</small>}
      </span>
      <span class="more">{children}</span>
    </>
  );
  return href === undefined ? (
    <div class="tile">{inside}</div>
  ) : (
    <a class="tile" href={href}>
      {inside}
    </a>
  );
}

/** One of a few words, as buttons side by side. */
export function Choice<W extends string>({
  label,
  words,
  chosen,
  onChoose,
}: {
  readonly label: string;
  readonly words: readonly (readonly [word: W, shown: string])[];
  readonly chosen: W;
  readonly onChoose: (word: W) => void;
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset brings a frame that no browser lays out in a line
    <div class="choice" role="group" aria-label={label}>
      {words.map(([word, shown]) => (
        <button key={word} type="button" aria-pressed={word === chosen} onClick={() => onChoose(word)}>
          {shown}
        </button>
      ))}
    </div>
  );
}

export function Meter({ share, tone = "" }: { readonly share: number; readonly tone?: string }) {
  const width = `${Math.round(100 * Math.max(0, Math.min(1, share)))}%`;
  return (
    <span class="meter" aria-hidden="true">
      <i style={tone === "" ? { width } : { width, background: `var(--${tone})` }} />
    </span>
  );
}

/** Names and values of one thing. */
export function Pairs({ of }: { readonly of: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="pairs">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
