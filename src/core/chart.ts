// Charts as inline SVG for reports: lines, bars and limits over axes with ticks and units; the same bytes for the same numbers, light and dark.
import { type Axis, axisTicks, placeOn, tickText } from "./chart/axis.ts";
import { escapeHtml } from "./html.ts";

export { type Axis, axisTicks, heightAxis, placeOn, tickText } from "./chart/axis.ts";

/** A colour by what it means: series one to three, something in the background, something wrong, something right. */
export type Tone = "one" | "two" | "three" | "dim" | "bad" | "good";

export interface Point {
  readonly x: number;
  readonly y: number;
}

export type Part =
  | {
      readonly kind: "line";
      readonly points: readonly Point[];
      readonly tone: Tone;
      readonly name?: string;
      readonly dashed?: boolean;
      readonly dots?: boolean;
    }
  | {
      readonly kind: "bars";
      readonly bars: readonly { readonly from: number; readonly to: number; readonly value: number }[];
      readonly tone: Tone;
      readonly name?: string;
    }
  /** A limit across the whole chart, at a place of one axis. */
  | {
      readonly kind: "limit";
      readonly axis: "x" | "y";
      readonly at: number;
      readonly label: string;
      readonly tone: Tone;
    }
  /** What is allowed, as a background. */
  | { readonly kind: "allowed"; readonly from: number; readonly to: number };

export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly parts: readonly Part[];
  /** What the chart says, in a sentence below it. */
  readonly note?: string;
}

/** On a screen of 400 pixels a chart gets 340: letters of 12 units are 10 pixels there. */
const WIDTH = 400;
const HEIGHT = 260;
/** Room for ticks and labels. */
const PAD = { left: 58, right: 24, top: 28, bottom: 42 } as const;
const BAR_HEIGHT = 22;
/** About what a letter of 12 pixels takes; names and figures beside the bars get room by it. */
const LETTER_WIDTH = 6.6;
const BOLD_WIDTH = 7.4;
/** Of the longest bar: names are cut where less would be left. */
const BAR_WIDTH_MIN = 60;
/** Half of the widest tick stands beyond the end of a gauge. */
const GAUGE_PAD = 24;
/** Labels of limits stand under each other. */
const LABEL_STEP = 13;

/** A figure with its caption, legend and note. */
export function chart({ title, x, y, parts, note }: Chart): string {
  const inner = { left: PAD.left, right: WIDTH - PAD.right, top: PAD.top, bottom: HEIGHT - PAD.bottom };
  const atX = (value: number): number => placeOn(x, value, { from: inner.left, to: inner.right });
  const atY = (value: number): number => placeOn(y, value, { from: inner.bottom, to: inner.top });
  const limits = parts.filter((part) => part.kind === "limit");
  const places = { inner, atX, atY, x, y };
  const body = [
    ...parts.map((part) => partSvg(part, places)),
    // Words last: no line crosses them.
    ...limits.map((part, place) => limitLabel(part, place, places)),
  ];
  const named = parts.flatMap((part) =>
    "name" in part && part.name !== undefined ? [{ name: part.name, tone: part.tone }] : [],
  );
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`${title}: ${y.label} by ${x.label}`)}">${axes({ x, y, inner, atX, atY })}${body.join("")}</svg>`;
  return figure(title, svg, { legend: named, note });
}

function partSvg(part: Part, places: Places & Drawn): string {
  switch (part.kind) {
    case "allowed": {
      const { x, inner, atX } = places;
      const [from, to] = [atX(Math.max(part.from, x.from)), atX(Math.min(part.to, x.to))];
      return `<rect class="allowed" x="${n(from)}" y="${inner.top}" width="${n(Math.max(0, to - from))}" height="${inner.bottom - inner.top}"/>`;
    }
    case "bars":
      return part.bars.map((bar) => rectangle(bar, part.tone, places)).join("");
    case "line":
      return line(part, places);
    case "limit":
      return limitLine(part, places);
  }
}

/** Bars of names, one below the other. */
export function nameBars({
  title,
  label,
  bars,
  note,
}: {
  readonly title: string;
  /** What the lengths mean, with its unit. */
  readonly label: string;
  readonly bars: readonly {
    readonly name: string;
    readonly value: number;
    readonly shown: string;
    readonly tone?: Tone;
  }[];
  readonly note?: string;
}): string {
  const most = bars.reduce((sum, { value }) => Math.max(sum, value), 0);
  const longest = (texts: readonly string[]): number => texts.reduce((sum, { length }) => Math.max(sum, length), 0);
  const beside = 28 + longest(bars.map(({ shown }) => shown)) * LETTER_WIDTH;
  const lettersMax = Math.max(1, Math.floor((WIDTH - beside - BAR_WIDTH_MIN) / LETTER_WIDTH));
  const from = 16 + Math.min(lettersMax, longest(bars.map(({ name }) => name))) * LETTER_WIDTH;
  const room = WIDTH - from - beside + 16;
  const labelFrom = Math.min(from, Math.max(0, WIDTH - 4 - label.length * BOLD_WIDTH));
  const rows = bars.map(({ name, value, shown, tone = "one" }, i) => {
    const top = i * BAR_HEIGHT;
    const width = most > 0 ? Math.max(1, (value / most) * room) : 1;
    return `<text class="name" x="${n(from - 8)}" y="${top + 15}">${escapeHtml(clip(name, lettersMax))}</text><rect class="fill-${tone}" x="${n(from)}" y="${top + 4}" width="${n(width)}" height="14" rx="2"/><text x="${n(from + width + 6)}" y="${top + 15}">${escapeHtml(shown)}</text>`;
  });
  const height = Math.max(1, bars.length) * BAR_HEIGHT + 22;
  const svg = `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(`${title}: ${label}`)}">${rows.join("")}<text class="label" x="${n(labelFrom)}" y="${height - 6}">${escapeHtml(label)}</text></svg>`;
  return figure(title, svg, { legend: [], note });
}

/** One figure against what is allowed: a line with a band and a mark. */
export function gauge({
  title,
  axis,
  allowed,
  observed,
  good,
  note,
}: {
  readonly title: string;
  readonly axis: Axis;
  /** Infinite where there is no limit. */
  readonly allowed: { readonly from: number; readonly to: number };
  readonly observed: { readonly value: number; readonly shown: string };
  readonly good: boolean;
  readonly note?: string;
}): string {
  const room = { from: GAUGE_PAD, to: WIDTH - GAUGE_PAD };
  const at = (value: number): number => placeOn(axis, value, room);
  const [from, to] = [at(Math.max(allowed.from, axis.from)), at(Math.min(allowed.to, axis.to))];
  const ticks = axisTicks(axis, "across").map((value) => {
    const x = n(at(value));
    return `<line class="tick" x1="${x}" y1="44" x2="${x}" y2="48"/><text class="middle" x="${x}" y="61">${escapeHtml(tickText(axis, value))}</text>`;
  });
  const tone = good ? "good" : "bad";
  const x = at(observed.value);
  const anchor = x > WIDTH * 0.75 ? "end" : x < WIDTH * 0.25 ? "start" : "middle";
  const svg = `<svg viewBox="0 0 ${WIDTH} 84" role="img" aria-label="${escapeHtml(`${title}: ${observed.shown}`)}"><rect class="allowed strong" x="${n(from)}" y="26" width="${n(Math.max(2, to - from))}" height="18"/><line class="axis" x1="${room.from}" y1="44" x2="${room.to}" y2="44"/>${ticks.join("")}<circle class="fill-${tone}" cx="${n(x)}" cy="35" r="7"/><text class="${anchor} text-${tone} strong" x="${n(x)}" y="17">${escapeHtml(observed.shown)}</text><text class="label middle" x="${WIDTH / 2}" y="79">${escapeHtml(axis.label)}</text></svg>`;
  return figure(title, svg, { legend: [], note });
}

function figure(
  title: string,
  svg: string,
  {
    legend,
    note,
  }: { readonly legend: readonly { readonly name: string; readonly tone: Tone }[]; readonly note?: string },
): string {
  const keys = legend.map(({ name, tone }) => `<span><i class="key-${tone}"></i>${escapeHtml(name)}</span>`).join("");
  return `<figure class="chart"><figcaption>${escapeHtml(title)}</figcaption>${svg}${keys === "" ? "" : `<p class="legend">${keys}</p>`}${note === undefined ? "" : `<p class="note">${escapeHtml(note)}</p>`}</figure>`;
}

interface Frame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

interface Drawn {
  readonly inner: Frame;
  readonly x: Axis;
  readonly y: Axis;
}

interface Places {
  atX(value: number): number;
  atY(value: number): number;
}

function axes({
  x,
  y,
  inner,
  atX,
  atY,
}: { readonly x: Axis; readonly y: Axis; readonly inner: Frame } & Places): string {
  const xTicks = axisTicks(x, "across").map((value) => {
    const at = n(atX(value));
    return `<line class="tick" x1="${at}" y1="${inner.bottom}" x2="${at}" y2="${inner.bottom + 4}"/><text class="middle" x="${at}" y="${inner.bottom + 17}">${escapeHtml(tickText(x, value))}</text>`;
  });
  const yTicks = axisTicks(y, "up").map((value) => {
    const at = n(atY(value));
    return `<line class="grid" x1="${inner.left}" y1="${at}" x2="${inner.right}" y2="${at}"/><text class="end" x="${inner.left - 7}" y="${n(atY(value) + 4)}">${escapeHtml(tickText(y, value))}</text>`;
  });
  const middle = n((inner.left + inner.right) / 2);
  return `${yTicks.join("")}<line class="axis" x1="${inner.left}" y1="${inner.bottom}" x2="${inner.right}" y2="${inner.bottom}"/>${xTicks.join("")}<text class="label middle" x="${middle}" y="${HEIGHT - 8}">${escapeHtml(x.label)}</text><text class="label" x="4" y="11">${escapeHtml(y.label)}</text>`;
}

function rectangle(
  { from, to, value }: { readonly from: number; readonly to: number; readonly value: number },
  tone: Tone,
  { atX, atY, y }: Places & { readonly y: Axis },
): string {
  if (!(value > 0)) return "";
  const [left, right] = [atX(from), atX(to)];
  const [top, bottom] = [atY(value), atY(y.from)];
  const gap = right - left > 3 ? 1 : 0;
  return `<rect class="fill-${tone}" x="${n(left)}" y="${n(top)}" width="${n(Math.max(0.5, right - left - gap))}" height="${n(Math.max(0.5, bottom - top))}"/>`;
}

function line(part: Extract<Part, { kind: "line" }>, { atX, atY }: Places): string {
  const shown = part.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  const places = shown.map(({ x, y }) => `${n(atX(x))},${n(atY(y))}`);
  const path = `<polyline class="stroke-${part.tone}${part.dashed === true ? " dashed" : ""}" points="${places.join(" ")}"/>`;
  if (part.dots !== true) return path;
  return (
    path +
    shown.map(({ x, y }) => `<circle class="fill-${part.tone}" cx="${n(atX(x))}" cy="${n(atY(y))}" r="3"/>`).join("")
  );
}

type Limit = Extract<Part, { kind: "limit" }>;
type LimitPlaces = Places & Drawn;

/** −1 below the axis, 1 above it. */
function beyond({ from, to }: Axis, value: number): -1 | 0 | 1 {
  return value < from ? -1 : value > to ? 1 : 0;
}

/** What lies beyond the axis has no line: at the axis's end it would stand at a value that it is not. */
function limitLine({ axis, at, tone }: Limit, { inner, atX, atY, x: across, y: up }: LimitPlaces): string {
  if (beyond(axis === "y" ? up : across, at) !== 0) return "";
  const [x, y] = [n(atX(at)), n(atY(at))];
  const [from, to] = axis === "y" ? [inner.left, inner.right] : [inner.top, inner.bottom];
  const place =
    axis === "y" ? `x1="${from}" y1="${y}" x2="${to}" y2="${y}"` : `x1="${x}" y1="${from}" x2="${x}" y2="${to}"`;
  return `<line class="limit stroke-${tone}" ${place}/>`;
}

function limitLabel(
  { axis, at, label, tone }: Limit,
  place: number,
  { inner, atX, atY, x: across, y: up }: LimitPlaces,
): string {
  const away = beyond(axis === "y" ? up : across, at);
  const [less, more] = axis === "y" ? ["↓", "↑"] : ["←", "→"];
  const text = escapeHtml(away < 0 ? `${less} ${label}` : away > 0 ? `${label} ${more}` : label);
  if (axis === "y") return `<text class="end text-${tone}" x="${inner.right - 2}" y="${n(atY(at) - 4)}">${text}</text>`;
  const x = atX(at);
  const right = x > (inner.left + inner.right) / 2;
  const anchor = right ? "end " : "";
  return `<text class="${anchor}text-${tone}" x="${n(right ? x - 4 : x + 4)}" y="${inner.top + 10 + place * LABEL_STEP}">${text}</text>`;
}

function clip(name: string, lettersMax: number): string {
  return name.length <= lettersMax ? name : `${name.slice(0, lettersMax - 1)}…`;
}

/** One decimal, so that equal charts have equal bytes. */
function n(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Of the charts: put into the page once. `--ink`, `--soft`, `--line`, `--card` are the page's own. */
export const CHART_STYLE = `
:root{--one:#0b6bcb;--two:#c2410c;--three:#6d5bd0;--bad:#c0272d;--good:#1a7f4b;--allowed:#1a7f4b14}
@media (prefers-color-scheme:dark){:root{--one:#63b3ff;--two:#ff9f6b;--three:#b3a6ff;--bad:#ff7b7b;--good:#5cc98d;--allowed:#5cc98d1f}}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));gap:1.25rem}
.chart{margin:0;min-width:0}.chart figcaption{font-weight:600;margin:0 0 .25rem}
.chart svg{display:block;width:100%;max-width:30rem;height:auto}
.chart text{fill:var(--soft);font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
.chart .label{font-weight:600}.chart .middle{text-anchor:middle}.chart .end,.chart .name{text-anchor:end}.chart .name{fill:var(--ink)}
.chart .axis,.chart .tick{stroke:var(--soft)}.chart .grid{stroke:var(--line)}.chart .allowed{fill:var(--allowed)}.chart .allowed.strong{stroke:var(--good);stroke-opacity:.5}.chart text.strong{font-weight:600}
.chart polyline{fill:none;stroke-width:2;stroke-linejoin:round}.chart .dashed{stroke-dasharray:5 4}
.chart .limit{stroke-width:1.5;stroke-dasharray:6 3}
${(["one", "two", "three", "bad", "good"] as const).map((tone) => `.chart .fill-${tone}{fill:var(--${tone})}.chart .stroke-${tone}{stroke:var(--${tone})}.chart .text-${tone}{fill:var(--${tone});paint-order:stroke;stroke:var(--card);stroke-width:3px}.key-${tone}{background:var(--${tone})}`).join("\n")}
.chart .fill-dim{fill:var(--soft);opacity:.55}.chart .stroke-dim{stroke:var(--soft)}.chart .text-dim{fill:var(--soft)}.key-dim{background:var(--soft)}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;margin:.35rem 0 0;font-size:.8125rem;color:var(--soft)}
.legend i{display:inline-block;width:.75rem;height:.75rem;border-radius:2px;margin-right:.35rem;vertical-align:-1px}
.note{margin:.35rem 0 0;font-size:.875rem;color:var(--soft)}
@media print{.chart{break-inside:avoid}}
`;
