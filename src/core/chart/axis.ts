// Axes of charts: where a value stands, which values get a tick, and how a tick is written.
import { DAY_MS } from "../duration.ts";

export interface Axis {
  /** With its unit. */
  readonly label: string;
  readonly from: number;
  readonly to: number;
  readonly scale?: "linear" | "log";
  /** How ticks are written: plain numbers, shares as percentages, milliseconds since 1970 as days. */
  readonly format?: "number" | "percent" | "day";
}

/** Ticks that fit without touching each other. */
const TICKS = { across: 6, up: 5 } as const;
const DAY_TICKS = 5;
/** Days are written with their year, which takes twice the room, on an axis that is longer. */
const YEARLESS_MS = 300 * DAY_MS;
const DATE_TICKS = 4;

/** Linear between two places; on a logarithmic axis what is not above zero stands at its beginning. */
export function placeOn(
  axis: Axis,
  value: number,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const on =
    axis.scale === "log" ? (v: number): number => Math.log10(Math.max(v, axis.from)) : (v: number): number => v;
  const span = on(axis.to) - on(axis.from);
  const share = span > 0 ? (on(value) - on(axis.from)) / span : 0.5;
  return from + Math.min(1, Math.max(0, share)) * (to - from);
}

/** Round values inside the axis, ascending. */
export function axisTicks(axis: Axis, direction: keyof typeof TICKS): readonly number[] {
  if (!(axis.to > axis.from)) return [axis.from];
  if (axis.scale === "log") return logTicks(axis, TICKS[direction]);
  if (axis.format === "day") return dayTicks(axis);
  const step = roundStep((axis.to - axis.from) / TICKS[direction]);
  const first = Math.ceil(axis.from / step - 1e-9);
  const last = Math.floor(axis.to / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

export function tickText({ format, from, to }: Axis, value: number): string {
  if (format === "percent") return `${cleaned(100 * value)} %`;
  if (format === "day") return new Date(value).toISOString().slice(to - from > YEARLESS_MS ? 0 : 5, 10);
  const size = Math.abs(value);
  if (size >= 1e9) return `${cleaned(value / 1e9)} G`;
  if (size >= 1e6) return `${cleaned(value / 1e6)} M`;
  if (size >= 1e4) return `${cleaned(value / 1e3)} k`;
  if (size !== 0 && size < 1e-3) return value.toExponential().replace("e-", "e−");
  return String(cleaned(value)).replace("-", "−");
}

/** An axis from 0 (or below) to a bit above the highest value. */
export function heightAxis(label: string, values: Iterable<number>, format?: Axis["format"]): Axis {
  let most = 0;
  for (const value of values) if (Number.isFinite(value) && value > most) most = value;
  return { label, from: 0, to: most > 0 ? most * 1.08 : 1, format };
}

function logTicks({ from, to }: Axis, most: number): readonly number[] {
  const ticks: number[] = [];
  const [low, high] = [Math.floor(Math.log10(from)), Math.ceil(Math.log10(to))];
  const step = Math.max(1, Math.ceil((high - low) / most));
  const between = high - low <= 2 ? [1, 2, 5] : [1];
  for (let power = low; power <= high; power += step) {
    for (const factor of between) {
      const value = cleaned(factor * 10 ** power);
      if (value >= from * (1 - 1e-9) && value <= to * (1 + 1e-9)) ticks.push(value);
    }
  }
  return ticks;
}

function dayTicks({ from, to }: Axis): readonly number[] {
  const most = to - from > YEARLESS_MS ? DATE_TICKS : DAY_TICKS;
  const days = Math.max(1, Math.ceil((to - from) / DAY_MS / most));
  const ticks: number[] = [];
  for (let at = Math.ceil(from / DAY_MS) * DAY_MS; at <= to; at += days * DAY_MS) ticks.push(at);
  return ticks;
}

/** 1, 2 or 5 times a power of ten, not below the given step. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 5, 10].find((one) => one * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function cleaned(value: number): number {
  return Number(value.toPrecision(6));
}
