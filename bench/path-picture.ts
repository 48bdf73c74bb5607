// The picture of latencies: one line per side over percentiles, both axes logarithmic, as an SVG.
import type { Percentiles } from "./latencies.ts";

const WIDTH = 720;
const HEIGHT = 360;
const LEFT = 64;
const RIGHT = 150;
const TOP = 44;
const BOTTOM = 44;
const COLOURS = ["#2da44e", "#0969da", "#cf222e", "#8250df"];
/** How rare what lies beyond is, as the horizontal axis has it: each step is a tenth. */
const POINTS = [
  ["p50Ms", "50 %", 0.5],
  ["p90Ms", "90 %", 0.1],
  ["p99Ms", "99 %", 0.01],
  ["p999Ms", "99.9 %", 0.001],
  ["p9999Ms", "99.99 %", 0.0001],
] as const;

/** One line per entry. */
export function pathPicture(
  lines: readonly { readonly name: string; readonly percentiles: Percentiles }[],
  title: string,
): string {
  const values = lines.flatMap(({ percentiles }) => POINTS.map(([point]) => percentiles[point]));
  const [low, high] = [Math.floor(Math.log10(Math.min(...values))), Math.ceil(Math.log10(Math.max(...values)))];
  const x = (beyond: number): number =>
    LEFT + ((Math.log10(0.5) - Math.log10(beyond)) / (Math.log10(0.5) + 4)) * (WIDTH - LEFT - RIGHT);
  const y = (ms: number): number =>
    HEIGHT - BOTTOM - ((Math.log10(ms) - low) / Math.max(1, high - low)) * (HEIGHT - TOP - BOTTOM);
  const grid = [
    ...POINTS.map(
      ([, label, beyond]) =>
        `<line x1="${at(x(beyond))}" y1="${TOP}" x2="${at(x(beyond))}" y2="${HEIGHT - BOTTOM}" stroke="#d0d7de"/><text x="${at(x(beyond))}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${label}</text>`,
    ),
    ...Array.from({ length: Math.max(1, high - low) + 1 }, (_, i) => 10 ** (low + i)).map(
      (ms) =>
        `<line x1="${LEFT}" y1="${at(y(ms))}" x2="${WIDTH - RIGHT}" y2="${at(y(ms))}" stroke="#d0d7de"/><text x="${LEFT - 8}" y="${at(y(ms) + 4)}" text-anchor="end">${Number(ms.toPrecision(1))} ms</text>`,
    ),
  ];
  const drawn = lines.map(({ name, percentiles }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const points = POINTS.map(([point, , beyond]) => `${at(x(beyond))},${at(y(percentiles[point]))}`).join(" ");
    const legendY = TOP + 14 + i * 20;
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2.5"/><rect x="${WIDTH - RIGHT + 14}" y="${legendY - 9}" width="14" height="4" fill="${colour}"/><text x="${WIDTH - RIGHT + 34}" y="${legendY - 3}">${escaped(name)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">
<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>
<g font-family="system-ui,sans-serif" font-size="12" fill="#24292f">
<text x="${LEFT}" y="24" font-size="14" font-weight="600">${escaped(title)}</text>
${[...grid, ...drawn].join("\n")}
</g>
</svg>
`;
}

function at(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
