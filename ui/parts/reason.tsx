// A question that is answered with a reason, which is kept: closing a case, putting it off, moving a model.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Dialog } from "./drawer.tsx";

export function ReasonDialog({
  title,
  text,
  label,
  action,
  tone = "main",
  usual = [],
  lengthMax,
  onClose,
  onSay,
  children,
}: {
  readonly title: string;
  readonly text?: string;
  /** What is asked for. */
  readonly label: string;
  readonly action: string;
  readonly tone?: "main" | "danger";
  /** Reasons to choose from; the first is there already. */
  readonly usual?: readonly string[];
  readonly lengthMax: number;
  readonly onClose: () => void;
  readonly onSay: (reason: string) => void;
  /** What else may be said. */
  readonly children?: ComponentChildren;
}) {
  const [reason, setReason] = useState(usual[0] ?? "");
  const say = (event: Event): void => {
    event.preventDefault();
    if (reason.trim() !== "") onSay(reason.trim());
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="stack" onSubmit={say}>
        {text === undefined ? null : <p class="soft">{text}</p>}
        <label class="field">
          <span>{label}</span>
          <input
            class="input"
            list={usual.length === 0 ? undefined : "usual-reasons"}
            required
            maxLength={lengthMax}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
          <datalist id="usual-reasons">
            {usual.map((one) => (
              <option key={one} value={one} />
            ))}
          </datalist>
        </label>
        {children}
        <footer class="row">
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class={`button ${tone}`} disabled={reason.trim() === ""}>
            {action}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
