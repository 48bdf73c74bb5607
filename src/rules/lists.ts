// Lists as they were at any moment: a look-up asks whether a value was on the list at the event's time.
import { LIST_VALUE_LENGTH_MAX, type ListChange } from "../core/rule.ts";

/** From and to, one pair after the other; a value that comes and goes has several. */
type Spans = readonly number[];

/** A list, folded from its changes; it is never changed afterwards. */
export class ListIndex {
  readonly size: number;
  private readonly texts = new Map<string, Spans>();
  /** The same by number, for values that are numbers as a transaction writes them. */
  private readonly numbers = new Map<number, Spans>();

  constructor(changes: readonly ListChange[]) {
    for (const [value, spans] of spansOf(changes)) {
      this.texts.set(value, spans);
      const number = Number(value);
      if (String(number) === value) this.numbers.set(number, spans);
    }
    this.size = this.texts.size;
  }

  hasText(value: string, time: number): boolean {
    const spans = this.texts.get(value);
    return spans !== undefined && within(spans, time);
  }

  hasNumber(value: number, time: number): boolean {
    const spans = this.numbers.get(value);
    return spans !== undefined && within(spans, time);
  }

  /** Values on the list at a moment, with since when, until when. */
  *at(time: number): Generator<ListSpan> {
    for (const one of this.spans()) if (one.from <= time && time < (one.to ?? Number.POSITIVE_INFINITY)) yield one;
  }

  /** Every time that a value was, is or will be on the list. */
  *spans(): Generator<ListSpan> {
    for (const value of this.texts.keys()) yield* this.spansOf(value);
  }

  /** The same of one value. */
  spansOf(value: string): readonly ListSpan[] {
    const own = this.texts.get(value) ?? [];
    const spans: ListSpan[] = [];
    for (let i = 0; i < own.length; i += 2) {
      const [from, to] = [own[i], own[i + 1]];
      if (from < to) spans.push({ value, from, to: Number.isFinite(to) ? to : null });
    }
    return spans;
  }
}

/** On the list from `from`, until `to`; null: for ever. */
export interface ListSpan {
  readonly value: string;
  readonly from: number;
  readonly to: number | null;
}

export const EMPTY_LIST = new ListIndex([]);

function within(spans: Spans, time: number): boolean {
  for (let i = 0; i < spans.length; i += 2) if (spans[i] <= time && time < spans[i + 1]) return true;
  return false;
}

/** The last change of a value and its beginning counts. */
function spansOf(changes: readonly ListChange[]): Map<string, number[]> {
  const spans = new Map<string, number[]>();
  for (const { value, from, to } of changes) {
    if (value.length > LIST_VALUE_LENGTH_MAX) continue;
    const own = spans.get(value) ?? [];
    if (own.length === 0) spans.set(value, own);
    let at = 0;
    while (at < own.length && own[at] !== from) at += 2;
    own[at] = from;
    own[at + 1] = to ?? Number.POSITIVE_INFINITY;
  }
  return spans;
}
