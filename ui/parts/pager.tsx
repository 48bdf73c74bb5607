// Pages of a list: on by the cursor of the answer, back by the way that was gone, as cursors only lead on.
import { useState } from "preact/hooks";
import { useKeys } from "../keys.ts";
import { setQuery, usePlace } from "../route.ts";

export interface Pager {
  /** In words; null on the first page. */
  readonly place: string | null;
  /** Null where there is no such page. */
  readonly back: (() => void) | null;
  readonly on: (() => void) | null;
}

/** `next`: the cursor of the page after the one that is shown. A filter that changes leaves the cursor out, and begins anew by that. */
export function usePager(next: string | null): Pager {
  const { cursor } = usePlace().query;
  const [gone, setGone] = useState<readonly string[]>([]);
  const way = cursor === undefined ? [] : gone;
  return {
    // Who follows a link into the middle has gone no way: back is the beginning.
    place: cursor === undefined ? null : way.length === 0 ? "a later page" : `page ${way.length + 1}`,
    back:
      cursor === undefined
        ? null
        : () => {
            setQuery({ cursor: way.at(-1) });
            setGone(way.slice(0, -1));
          },
    on:
      next === null
        ? null
        : () => {
            setGone([...way, cursor ?? ""]);
            setQuery({ cursor: next });
          },
  };
}

/** The buttons below a list; `keyed`: n and p turn the pages too. */
export function PagerButtons({
  of,
  words: [back, on],
  keyed = false,
}: {
  readonly of: Pager;
  readonly words: readonly [back: string, on: string];
  readonly keyed?: boolean;
}) {
  useKeys(
    keyed
      ? [
          { key: "n", what: `${on} page`, run: () => of.on?.() },
          { key: "p", what: `${back} page`, run: () => of.back?.() },
        ]
      : [],
  );
  if (of.back === null && of.on === null) return null;
  return (
    <div class="row even pager">
      <button type="button" class="button" disabled={of.back === null} onClick={() => of.back?.()}>
        {back} {keyed ? <kbd>p</kbd> : null}
      </button>
      <button type="button" class="button" disabled={of.on === null} onClick={() => of.on?.()}>
        {on} {keyed ? <kbd>n</kbd> : null}
      </button>
    </div>
  );
}
