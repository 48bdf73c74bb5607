// The picture of `bench -- evidence`: by day, the share of candidates that were promoted, equal and better ones, by the gate and by a daily t-test.
import type { Path } from "./evidence-path.ts";

const WIDTH = 720;
const HEIGHT = 320;
const LEFT = 48;
const RIGHT = 150;
const TOP = 20;
const BOTTOM = 40;
const SHARE_TICKS = [0, 0.25, 0.5, 0.75, 1];
const DAY_TICKS = [0, 10, 20, 30, 40, 50, 60];

/** SVG; lines of cells that did not run are left out. Reads in light and dark. */
export function evidencePicture(given: {
  readonly paths: Readonly<Record<string, readonly Path[]>>;
  readonly days: number;
}): string {
  const { paths, days } = given;
  const lines = [
    { cell: "better", of: (path: Path) => path.promoted, name: "better, the gate", style: "good" },
    { cell: "equal", of: (path: Path) => path.promotedByT, name: "equal, daily t-test", style: "bad" },
    { cell: "equal", of: (path: Path) => path.promoted, name: "equal, the gate", style: "gate" },
  ].filter(({ cell }) => paths[cell] !== undefined);
  const x = (day: number): number => LEFT + (day / days) * (WIDTH - LEFT - RIGHT);
  const y = (share: number): number => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
  const drawn = lines.map(({ cell, of, name, style }) => {
    const all = paths[cell];
    const shares = Array.from({ length: days + 1 }, (_, day) => {
      const by = all.filter((path) => (of(path) ?? Number.POSITIVE_INFINITY) <= day);
      return by.length / all.length;
    });
    const points = shares.map((share, day) => `${x(day).toFixed(1)},${y(share).toFixed(1)}`).join(" ");
    const end = shares[days];
    return `<polyline class="${style}" points="${points}"/><text x="${x(days) + 6}" y="${y(end) + 4}">${name}: ${Math.round(1000 * end) / 10} %</text>`;
  });
  const ticks = [
    ...SHARE_TICKS.map(
      (share) =>
        `<line class="grid" x1="${LEFT}" x2="${x(days)}" y1="${y(share)}" y2="${y(share)}"/><text text-anchor="end" x="${LEFT - 6}" y="${y(share) + 4}">${100 * share} %</text>`,
    ),
    ...DAY_TICKS.filter((day) => day <= days).map(
      (day) => `<text text-anchor="middle" x="${x(day)}" y="${HEIGHT - BOTTOM + 18}">${day}</text>`,
    ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Share of candidates promoted, by day of shadow">
<style>
text { font: 12px system-ui, sans-serif; fill: #444 }
.grid { stroke: #8884; stroke-width: 1 }
polyline { fill: none; stroke-width: 2 }
.good { stroke: #2a8a4a } .bad { stroke: #c43c3c } .gate { stroke: #3267c8 } .limit { stroke: #888; stroke-dasharray: 4 4 }
@media (prefers-color-scheme: dark) { text { fill: #ccc } .good { stroke: #58c47c } .bad { stroke: #f07878 } .gate { stroke: #7aa5f5 } }
</style>
${ticks.join("\n")}
<line class="limit" x1="${LEFT}" x2="${x(days)}" y1="${y(0.05)}" y2="${y(0.05)}"/>
${drawn.join("\n")}
<text text-anchor="middle" x="${(LEFT + x(days)) / 2}" y="${HEIGHT - 4}">days of shadow; the gate is asked at the end of each; dashed: 5 %</text>
</svg>
`;
}
