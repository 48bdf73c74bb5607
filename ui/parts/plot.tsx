// Plots over time: lines, areas and stacked bars by uPlot, with marks, shades, bands and one reading under the pointer.
import { useEffect, useRef, useState } from "preact/hooks";
import UPlot from "uplot";
import { clockTime, dayOf, fullTime, short } from "../format.ts";
import { colorOf, onTheme } from "../theme.ts";

export interface Series {
  readonly label: string;
  /** Name of a colour of the theme. */
  readonly color: string;
  readonly values: readonly (number | null)[];
  readonly kind?: "line" | "area" | "bars";
  /** Ends of an interval around the values, drawn as a band. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

export interface Mark {
  /** Milliseconds. */
  readonly at: number;
  readonly label: string;
}

interface PlotProps {
  /** What the picture says, for those who do not see it. */
  readonly label: string;
  /** Milliseconds, rising. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
  readonly height: number;
  /** Bars and areas stand on each other. */
  readonly stacked?: boolean;
  readonly marks?: readonly Mark[];
  /** From here on the ground is shaded, milliseconds. */
  readonly shadeFrom?: number | null;
  readonly format?: (value: number) => string;
  readonly daily?: boolean;
}

export function Plot(props: PlotProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const [at, setAt] = useState<{ readonly index: number; readonly left: number } | null>(null);
  const [look, setLook] = useState(0);
  const latest = useRef(props);
  latest.current = props;
  const { series, height, stacked = false, daily = false } = props;
  const shape = JSON.stringify([
    series.map(({ label, color, kind, low }) => [label, color, kind, low !== undefined]),
    height,
    stacked,
    daily,
    look,
  ]);

  useEffect(() => onTheme(() => setLook((one) => one + 1)), []);
  useEffect(() => {
    const box = place.current!;
    const made = new UPlot(
      optionsOf(latest, { width: Math.max(120, box.clientWidth), setAt }),
      dataOf(latest.current),
      box,
    );
    plot.current = made;
    const watcher = new ResizeObserver(() =>
      made.setSize({ width: Math.max(120, box.clientWidth), height: latest.current.height }),
    );
    watcher.observe(box);
    return () => {
      watcher.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(dataOf(props)), [props.times, props.series, props.marks, props.shadeFrom]);

  const { format = short, times } = props;
  const read = at !== null && at.index < times.length ? at : null;
  return (
    <figure class="plot">
      <div ref={place} role="img" aria-label={props.label} />
      {read === null ? null : (
        <div
          class="tip"
          style={
            read.left > (place.current?.clientWidth ?? 0) / 2
              ? { right: `${(place.current?.clientWidth ?? 0) - read.left + 12}px`, top: "6px" }
              : { left: `${read.left + 12}px`, top: "6px" }
          }
        >
          <b>{daily ? dayOf(times[read.index]) : fullTime(times[read.index]).replace(/ \(.*/, "")}</b>
          {series.map((one) => {
            const value = one.values[read.index];
            return (
              <div key={one.label}>
                <span>{one.label}</span>
                <span>{value === null || value === undefined ? "–" : format(value)}</span>
              </div>
            );
          })}
        </div>
      )}
    </figure>
  );
}

export function Legend({ of }: { readonly of: readonly (readonly [label: string, color: string])[] }) {
  return (
    <div class="legend">
      {of.map(([label, color]) => (
        <span key={label}>
          <i style={{ background: `var(--${color})` }} />
          {label}
        </span>
      ))}
    </div>
  );
}

/** Seconds, then the series from the top of the stack down, so that what lies below is drawn over what stands on it. */
function dataOf({ times, series, stacked = false }: PlotProps): UPlot.AlignedData {
  const x = times.map((ms) => ms / 1000);
  const rows: (number | null)[][] = [];
  const sums = new Array<number>(times.length).fill(0);
  for (const one of series) {
    const values = one.values.map((value, place) => {
      if (!stacked) return value;
      sums[place] += value ?? 0;
      return sums[place];
    });
    rows.push(values);
  }
  if (stacked) rows.reverse();
  for (const { low, high } of series) if (low !== undefined && high !== undefined) rows.push([...high], [...low]);
  return [x, ...rows] as unknown as UPlot.AlignedData;
}

const BAR_SHARE = 0.82;
const BAR_PX_MAX = 40;
const AXIS_PX = 46;
/** Marks that are closer have one name. */
const MARKS_APART_PX = 60;
const FONT = "11px system-ui, sans-serif";

function optionsOf(
  latest: { readonly current: PlotProps },
  {
    width,
    setAt,
  }: { readonly width: number; readonly setAt: (at: { readonly index: number; readonly left: number } | null) => void },
): UPlot.Options {
  const { series, height, stacked = false, daily = false, format = short } = latest.current;
  const ink = colorOf("ink-faint");
  const grid = { stroke: colorOf("plot-grid"), width: 1 };
  const drawn = stacked ? [...series].reverse() : series;
  const bars = UPlot.paths.bars?.({ size: [BAR_SHARE, BAR_PX_MAX], align: daily ? 0 : 1 });
  const own: UPlot.Series[] = drawn.map(({ label, color, kind = "line" }) => {
    const stroke = colorOf(color);
    if (kind === "bars")
      return {
        label,
        stroke,
        fill: stroke,
        width: 0,
        points: { show: false },
        ...(bars === undefined ? {} : { paths: bars }),
      };
    return {
      label,
      stroke,
      width: 1.5,
      points: { show: false },
      ...(kind === "area" ? { fill: stacked ? stroke : `${stroke}33` } : {}),
    };
  });
  const bands: UPlot.Band[] = [];
  let next = own.length + 1;
  for (const { low, high, color, label } of series) {
    if (low === undefined || high === undefined) continue;
    const end = { label, stroke: "transparent", width: 0, points: { show: false } };
    own.push(end, end);
    bands.push({ series: [next, next + 1], fill: `${colorOf(color)}2e` });
    next += 2;
  }
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 18, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { setScale: false } },
    series: [{}, ...own],
    bands,
    // What begins at the last instant takes as long as everything else.
    scales: {
      x: { range: (_, from, to) => [from, to + stepOf(latest.current)] },
      y: { range: (_, __, top) => [0, Number.isFinite(top) && top > 0 ? top * 1.08 : 1] },
    },
    axes: [
      {
        stroke: ink,
        grid: { show: false },
        ticks: { show: false },
        font: FONT,
        size: 24,
        values: (_, ticks) => ticks.map((at) => (daily ? dayOf(at * 1000) : clockTime(at * 1000))),
      },
      {
        stroke: ink,
        grid,
        ticks: { show: false },
        font: FONT,
        size: AXIS_PX,
        values: (_, ticks) => ticks.map((value) => format(value)),
      },
    ],
    hooks: {
      drawClear: [(one) => shade(one, latest.current.shadeFrom ?? null)],
      draw: [(one) => mark(one, latest.current.marks ?? [])],
      setCursor: [
        (one) => {
          const { idx, left = -1 } = one.cursor;
          setAt(idx === null || idx === undefined || left < 0 ? null : { index: idx, left: left + AXIS_PX });
        },
      ],
    },
  };
}

/** Seconds between two instants; nothing where a day is a point. */
function stepOf({ times, daily = false }: PlotProps): number {
  return daily || times.length < 2 ? 0 : (times[1] - times[0]) / 1000;
}

function shade(plot: UPlot, from: number | null): void {
  if (from === null) return;
  const { left, top, width, height } = plot.bbox;
  const x = Math.max(left, plot.valToPos(from / 1000, "x", true));
  if (!(x < left + width)) return;
  plot.ctx.fillStyle = colorOf("shade");
  plot.ctx.fillRect(x, top, left + width - x, height);
}

function mark(plot: UPlot, marks: readonly Mark[]): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = colorOf("violet");
  ctx.lineWidth = ratio;
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  for (const { lines, from, to } of clusters(plot, marks)) {
    for (const line of lines) {
      ctx.beginPath();
      ctx.moveTo(line, bbox.top);
      ctx.lineTo(line, bbox.top + bbox.height);
      ctx.stroke();
    }
    const [x] = lines;
    const label = from === to ? from : `${from} – ${to}`;
    const room = ctx.measureText(label).width + 8 * ratio;
    const left = x + room > bbox.left + bbox.width ? x - room : x + 4 * ratio;
    // Above whatever is drawn there.
    ctx.fillStyle = colorOf("panel");
    ctx.fillRect(left - 2 * ratio, bbox.top, room - 4 * ratio, 14 * ratio);
    ctx.fillStyle = colorOf("violet");
    ctx.fillText(label, left, bbox.top + 11 * ratio);
  }
  ctx.restore();
}

/** Marks that stand too close together to be named one by one have one name: of the first and the last of them. */
function clusters(
  plot: UPlot,
  marks: readonly Mark[],
): readonly { readonly lines: readonly number[]; readonly from: string; readonly to: string }[] {
  const { left, width } = plot.bbox;
  const found: { lines: number[]; from: string; to: string }[] = [];
  for (const { at, label } of [...marks].sort((a, b) => a.at - b.at)) {
    const x = plot.valToPos(at / 1000, "x", true);
    if (x < left || x > left + width) continue;
    const last = found.at(-1);
    if (last === undefined || x - last.lines[0] >= MARKS_APART_PX * devicePixelRatio)
      found.push({ lines: [x], from: label, to: label });
    else {
      last.lines.push(x);
      last.to = label;
    }
  }
  return found;
}
