// The picture of `bench -- loop`: one panel a life, by day the average precision of the answers' newest week beside the frozen model's, and what the loop did.
import type { Life, LifeEvent } from "./loop-life.ts";

const WIDTH = 760;
const PANEL = 170;
const LEFT = 52;
const RIGHT = 24;
const TOP = 58;
const TITLE = 30;
const BOTTOM = 34;
const TICKS = [0, 0.5, 1];
const DAYS_APART = 10;

/** What is marked, by a letter and a class of the style; the rest of the time-line is text. */
const MARKS: Partial<Record<LifeEvent["kind"], { readonly letter: string; readonly means: string }>> = {
  alarm: { letter: "a", means: "alarm" },
  waiting: { letter: "w", means: "waiting for labels" },
  candidate: { letter: "c", means: "candidate" },
  hold: { letter: "h", means: "held in shadow" },
  refused: { letter: "x", means: "refused by a gate" },
  "broken-feed": { letter: "b", means: "broken feed: not trained" },
  promotion: { letter: "P", means: "promotion" },
};

export interface LifePicture {
  readonly name: string;
  readonly life: Life;
  readonly driftDay: number;
}

/** SVG; reads in light and dark. */
export function loopPicture(lives: readonly LifePicture[]): string {
  const height = TITLE + lives.length * PANEL + BOTTOM;
  const keys = Object.values(MARKS).map(({ letter, means }) => `${letter} ${means}`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Simulated lives: average precision by day, with the loop and with a frozen model">
<style>
svg{color-scheme:light dark;background:#fff;font:12px system-ui,sans-serif;--ink:#24292f;--soft:#57606a;--line:#d0d7de;--one:#0969da;--two:#cf222e;--drift:#fff1e5}
@media (prefers-color-scheme:dark){svg{background:#0d1117;--ink:#e6edf3;--soft:#8b949e;--line:#30363d;--one:#58a6ff;--two:#ff7b72;--drift:#2d2117}}
text{fill:var(--ink)}.soft{fill:var(--soft)}.grid{stroke:var(--line)}.answered{fill:none;stroke:var(--one);stroke-width:2.2}.frozen{fill:none;stroke:var(--two);stroke-width:1.6;stroke-dasharray:5 3}.drift{fill:var(--drift)}.mark{stroke:var(--soft);stroke-dasharray:2 3}.title{font-weight:600}
.text-one{fill:var(--one)}.text-two{fill:var(--two)}
</style>
<text class="text-one" x="${LEFT}" y="18">— with the loop</text><text class="text-two" x="${LEFT + 120}" y="18">- - the first champion, frozen</text><text class="soft" x="${WIDTH - RIGHT}" y="18" text-anchor="end">average precision of the newest week</text>
${lives.map((one, place) => panel(one, TITLE + place * PANEL)).join("\n")}
<text class="soft" x="${LEFT}" y="${height - 10}">${keys.join(" · ")}</text>
</svg>
`;
}

function panel({ name, life, driftDay }: LifePicture, at: number): string {
  const days = life.byDay.length;
  const top = at + TOP;
  const bottom = at + PANEL - 8;
  const x = (day: number): number => LEFT + (day / days) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => bottom - value * (bottom - top);
  const line = (of: (day: Life["byDay"][number]) => number | null, style: string): string => {
    const points = life.byDay.flatMap((day) => {
      const value = of(day);
      return value === null ? [] : [`${x(day.day + 1).toFixed(1)},${y(value).toFixed(1)}`];
    });
    return `<polyline class="${style}" points="${points.join(" ")}"/>`;
  };
  const ticks = TICKS.map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${x(days)}" y1="${y(value)}" y2="${y(value)}"/><text class="soft" text-anchor="end" x="${LEFT - 6}" y="${y(value) + 4}">${value}</text>`,
  );
  const dates = Array.from({ length: Math.floor(days / DAYS_APART) + 1 }, (_, i) => i * DAYS_APART).map(
    (day) => `<text class="soft" text-anchor="middle" x="${x(day).toFixed(1)}" y="${top - 22}">${day}</text>`,
  );
  const marks = life.events.flatMap(({ kind, day }) => {
    const mark = MARKS[kind];
    if (mark === undefined) return [];
    const place = x(day + 1).toFixed(1);
    return [
      `<line class="mark" x1="${place}" x2="${place}" y1="${top}" y2="${bottom}"/><text text-anchor="middle" x="${place}" y="${top - 4}">${mark.letter}</text>`,
    ];
  });
  return `<text class="title" x="${LEFT}" y="${at + 18}">${name}: drift from day ${driftDay}</text><rect class="drift" x="${x(driftDay).toFixed(1)}" y="${top}" width="${(x(days) - x(driftDay)).toFixed(1)}" height="${bottom - top}"/>
${[...ticks, ...dates, ...marks, line(({ frozen }) => frozen, "frozen"), line(({ answered }) => answered, "answered")].join("\n")}`;
}
