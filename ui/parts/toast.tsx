// Toasts: one line that says what was done, or why it was not, for as long as it takes to read.
import { useEffect, useState } from "preact/hooks";
import { seen } from "../format.ts";
import { faultOf } from "../load.ts";

interface Message {
  readonly id: number;
  readonly text: string;
  readonly isFault: boolean;
}

const SHOWN_MS = 5000;
const FAULT_MS = 10_000;
const SHOWN_MAX = 4;
let messages: readonly Message[] = [];
let next = 1;
let changed: () => void = () => {};

function add(text: string, isFault: boolean): void {
  const one = { id: next++, text, isFault };
  messages = [...messages, one].slice(-SHOWN_MAX);
  changed();
  setTimeout(
    () => {
      messages = messages.filter(({ id }) => id !== one.id);
      changed();
    },
    isFault ? FAULT_MS : SHOWN_MS,
  );
}

export const tell = (text: string): void => add(text, false);

/** Does something, says what came of it, and whether it was done. */
export async function attempt(work: () => Promise<unknown>, done: string | null): Promise<boolean> {
  try {
    await work();
    if (done !== null) tell(done);
    return true;
  } catch (error) {
    const { message, problem } = faultOf(error);
    const fields = problem.errors?.map(({ field, message: what }) => `${field}: ${what}`).join("; ") ?? "";
    add(seen(fields === "" ? `${message}. ${problem.hint}` : `${message}: ${fields}`), true);
    return false;
  }
}

export function Toasts() {
  const [, setTurn] = useState(0);
  useEffect(() => {
    changed = () => setTurn((one) => one + 1);
    return () => {
      changed = () => {};
    };
  }, []);
  return (
    <div class="toasts" aria-live="polite">
      {messages.map(({ id, text, isFault }) => (
        <div key={id} class={isFault ? "toast fail" : "toast"} role={isFault ? "alert" : "status"}>
          {text}
        </div>
      ))}
    </div>
  );
}
