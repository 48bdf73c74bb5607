// The drawer: one thing beside the list that it came from; Escape closes it, and the focus goes back.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useKeys } from "../keys.ts";
import { Icon } from "./icon.tsx";

export function Drawer({
  label,
  head,
  foot,
  onClose,
  children,
}: {
  readonly label: string;
  readonly head: ComponentChildren;
  readonly foot?: ComponentChildren;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}) {
  const box = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.focus();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  useKeys([{ key: "Escape", what: "Close what is open", run: onClose, always: true }]);
  return (
    <aside class="drawer" aria-label={label} tabIndex={-1} ref={box}>
      <header>
        <div class="row" style={{ flex: 1, minWidth: 0 }}>
          {head}
        </div>
        <button type="button" class="button bare" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it by the keyboard */}
      <div class="inside" tabIndex={0}>
        {children}
      </div>
      {foot === undefined ? null : <footer>{foot}</footer>}
    </aside>
  );
}

/** A question that must be answered first. */
export function Dialog({
  title,
  onClose,
  children,
  foot,
}: {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly foot?: ComponentChildren;
}) {
  const box = useRef<HTMLDialogElement>(null);
  // Before the next key: an Escape that comes between appearing and opening would be nobody's.
  useLayoutEffect(() => {
    const dialog = box.current!;
    dialog.showModal();
    const first = dialog.querySelector<HTMLElement>("[data-first], input, textarea, select");
    first?.focus();
    return () => dialog.close();
  }, []);
  return (
    <dialog ref={box} class="dialog" aria-label={title} onCancel={onClose}>
      <h1>{title}</h1>
      {children}
      {foot === undefined ? null : <footer>{foot}</footer>}
    </dialog>
  );
}
