// A graph of what shares something with something: laid out by springs, the same way each time, at most sixty nodes.
import { useMemo } from "preact/hooks";
import { seen } from "../format.ts";

export interface GraphNode {
  readonly id: string;
  readonly label: string;
  /** What kind of thing: a column's name. */
  readonly kind: string;
  readonly tone: "red" | "amber" | "green" | "";
  readonly href?: string;
  /** In the middle. */
  readonly isCentre?: boolean;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

/** More cannot be read; the server gives no more either. */
const NODES_MAX = 60;
const WIDTH = 560;
const HEIGHT = 330;
const STEPS = 220;
const COLORS: Readonly<Record<GraphNode["tone"], string>> = {
  red: "plot-block",
  amber: "plot-review",
  green: "green",
  "": "plot-approve",
};
const LABEL_MAX = 18;
/** Where there are more, a telephone names the middle, what is shared and the frauds alone. */
const NAMED_MAX = 20;

export function Graph({
  nodes,
  edges,
  label,
}: {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  readonly label: string;
}) {
  const drawn = nodes.slice(0, NODES_MAX);
  const places = useMemo(() => laidOut(drawn, edges), [JSON.stringify([drawn.map(({ id }) => id), edges])]);
  const at = new Map(drawn.map(({ id }, place) => [id, places[place]]));
  return (
    // biome-ignore lint/a11y/useSemanticElements: a picture has no fieldset
    <svg class="graph" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="group" aria-label={label}>
      {edges.map(({ from, to }) => {
        const [a, b] = [at.get(from), at.get(to)];
        return a === undefined || b === undefined ? null : (
          <line key={`${from}→${to}`} x1={a.x} y1={a.y} x2={b.x} y2={b.y} />
        );
      })}
      {drawn.map((node, place) => {
        const { x, y } = places[place];
        const about = `${node.kind}: ${seen(node.label, 80)}`;
        const shape = (
          <>
            <title>{about}</title>
            <circle
              cx={x}
              cy={y}
              r={node.isCentre === true ? 9 : 6}
              fill={`var(--${COLORS[node.tone]})`}
              stroke="var(--panel)"
              stroke-width="1.5"
            />
            <text
              class={drawn.length > NAMED_MAX && node.tone === "" && node.isCentre !== true ? "minor" : undefined}
              x={x}
              y={y + (node.isCentre === true ? 20 : 16)}
              text-anchor="middle"
            >
              {seen(node.label, LABEL_MAX).replace(/… \(.*$/, "…")}
            </text>
          </>
        );
        return node.href === undefined ? (
          <g key={node.id}>{shape}</g>
        ) : (
          <a key={node.id} href={node.href} aria-label={about}>
            {shape}
          </a>
        );
      })}
    </svg>
  );
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/** Fruchterman and Reingold (1991): nodes push each other away, edges pull, and the steps grow shorter. Begins on a spiral, so that nothing is drawn by chance. */
function laidOut(nodes: readonly GraphNode[], edges: readonly GraphEdge[]): readonly Point[] {
  const count = nodes.length;
  const ideal = 0.75 * Math.sqrt((WIDTH * HEIGHT) / Math.max(1, count));
  const x = new Float64Array(count);
  const y = new Float64Array(count);
  const golden = Math.PI * (3 - Math.sqrt(5));
  for (let i = 0; i < count; i++) {
    const radius = (nodes[i].isCentre === true ? 0 : 1) * Math.sqrt((i + 1) / count) * (HEIGHT / 2.4);
    x[i] = WIDTH / 2 + radius * Math.cos(i * golden);
    y[i] = HEIGHT / 2 + radius * Math.sin(i * golden);
  }
  const indexOf = new Map(nodes.map(({ id }, index) => [id, index]));
  const pulls = edges.flatMap(({ from, to }) => {
    const [a, b] = [indexOf.get(from), indexOf.get(to)];
    return a === undefined || b === undefined || a === b ? [] : [[a, b] as const];
  });
  for (let step = 0; step < STEPS; step++) {
    const reach = (WIDTH / 12) * (1 - step / STEPS);
    const dx = new Float64Array(count);
    const dy = new Float64Array(count);
    const push = (a: number, b: number, force: (distance: number) => number): void => {
      const [fx, fy] = [x[a] - x[b], y[a] - y[b]];
      const distance = Math.max(0.01, Math.hypot(fx, fy));
      const by = force(distance) / distance;
      dx[a] += fx * by;
      dy[a] += fy * by;
      dx[b] -= fx * by;
      dy[b] -= fy * by;
    };
    for (let a = 0; a < count; a++)
      for (let b = a + 1; b < count; b++) push(a, b, (distance) => (ideal * ideal) / distance);
    for (const [a, b] of pulls) push(a, b, (distance) => -(distance * distance) / ideal);
    for (let i = 0; i < count; i++) {
      if (nodes[i].isCentre === true) continue;
      const length = Math.max(0.01, Math.hypot(dx[i], dy[i]));
      x[i] = Math.max(24, Math.min(WIDTH - 24, x[i] + (dx[i] / length) * Math.min(length, reach)));
      y[i] = Math.max(14, Math.min(HEIGHT - 24, y[i] + (dy[i] / length) * Math.min(length, reach)));
    }
  }
  return Array.from({ length: count }, (_, i) => ({ x: Math.round(x[i] * 10) / 10, y: Math.round(y[i] * 10) / 10 }));
}
