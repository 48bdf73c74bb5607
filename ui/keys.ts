// The keyboard: what a page listens to while it is shown, and the list of it that ? opens.
import { useLayoutEffect } from "preact/hooks";

export interface Key {
  readonly key: string;
  readonly what: string;
  readonly run: () => void;
  /** Also while somebody writes in a field. */
  readonly always?: boolean;
}

/** The keys of everything that is shown; the newest first, so that a drawer comes before its page. */
const layers: (readonly Key[])[] = [];

export function useKeys(keys: readonly Key[]): void {
  // Before the next key: an effect that waits for a picture would answer it by what was there before.
  useLayoutEffect(() => {
    layers.unshift(keys);
    return () => {
      layers.splice(layers.indexOf(keys), 1);
    };
  });
}

export function keysNow(): readonly Key[] {
  const known = new Set<string>();
  return layers.flat().filter(({ key }) => !known.has(key) && known.add(key));
}

/** The letter after `g` that leads to a page. */
let leading = false;

export function listenToKeys(lead: (letter: string) => void): () => void {
  const pressed = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const writes = isWritten(event.target);
    if (leading && !writes) {
      leading = false;
      lead(event.key);
      event.preventDefault();
      return;
    }
    const found = layers.flat().find(({ key, always }) => key === event.key && (always === true || !writes));
    if (found !== undefined) {
      // A button or a link that has the focus is what Enter and Space mean.
      if ((event.key === "Enter" || event.key === " ") && isPressed(event.target)) return;
      event.preventDefault();
      found.run();
    } else if (event.key === "g" && !writes) leading = true;
  };
  addEventListener("keydown", pressed);
  return () => removeEventListener("keydown", pressed);
}

function isWritten(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
  );
}

function isPressed(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(BUTTON|A|SUMMARY)$/.test(target.tagName);
}
