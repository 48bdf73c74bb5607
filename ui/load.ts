// Loading: what a view asks the API for, asked again when its question changes, when time has passed, and when somebody says so.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Fault } from "./api.ts";

export interface Loaded<T> {
  readonly value: T | null;
  /** What the last try met; the last value stays beside it. */
  readonly fault: Fault | null;
  readonly busy: boolean;
  /** Asks again now. */
  readonly again: () => void;
}

/**
 * `question` names what is asked: another one drops the value. `everyMs` asks again while the page is looked at. Null as question asks
 * nothing.
 */
export function useLoaded<T>(
  question: string | null,
  load: (signal: AbortSignal) => Promise<T>,
  { everyMs }: { readonly everyMs?: number } = {},
): Loaded<T> {
  const [state, setState] = useState<{ question: string | null; value: T | null; fault: Fault | null; busy: boolean }>({
    question: null,
    value: null,
    fault: null,
    busy: question !== null,
  });
  const latest = useRef(load);
  latest.current = load;
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((one) => one + 1), []);
  useEffect(() => {
    if (question === null) return;
    const stop = new AbortController();
    const run = async (): Promise<void> => {
      try {
        const value = await latest.current(stop.signal);
        if (!stop.signal.aborted) setState({ question, value, fault: null, busy: false });
      } catch (error) {
        if (stop.signal.aborted) return;
        const fault = faultOf(error);
        setState((last) => ({
          ...last,
          question,
          value: last.question === question ? last.value : null,
          fault,
          busy: false,
        }));
      }
    };
    setState((last) =>
      last.question === question ? { ...last, busy: true } : { question, value: null, fault: null, busy: true },
    );
    void run();
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => document.visibilityState === "visible" && void run(), everyMs);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [question, everyMs, turn]);
  const current = state.question === question ? state : { value: null, fault: null, busy: question !== null };
  return { value: current.value, fault: current.fault, busy: current.busy, again };
}

/** Whatever was thrown, as a fault that can be shown. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new Fault(message, {
    status: 0,
    code: "page",
    title: "The page failed",
    hint: "Load it again; if that does not help, the JSON twin has the figures.",
  });
}
