// The live stream: decisions of the last two minutes, once per second, while the page is looked at.
import { useEffect, useState } from "preact/hooks";
import { urlOf } from "./api.ts";

export interface Tick {
  readonly at: string;
  readonly decisions: {
    readonly from: string;
    readonly counts: Readonly<Record<"approve" | "review" | "block", readonly number[]>>;
  };
}

/** The newest tick, and whether the stream is open. A hidden page closes it: a server has room for so many. */
export function useLive(pipeline: string): { readonly tick: Tick | null; readonly isOpen: boolean } {
  const [state, setState] = useState<{ readonly tick: Tick | null; readonly isOpen: boolean }>({
    tick: null,
    isOpen: false,
  });
  useEffect(() => {
    let source: EventSource | null = null;
    const close = (): void => {
      source?.close();
      source = null;
    };
    const open = (): void => {
      close();
      if (document.visibilityState !== "visible") {
        setState((last) => ({ ...last, isOpen: false }));
        return;
      }
      const query = pipeline === "" ? {} : { pipeline };
      source = new EventSource(urlOf("GET /api/live", { query }));
      source.addEventListener("tick", (event) =>
        setState({ tick: JSON.parse(event.data as string) as Tick, isOpen: true }),
      );
      source.addEventListener("error", () => setState((last) => ({ ...last, isOpen: false })));
    };
    open();
    document.addEventListener("visibilitychange", open);
    return () => {
      document.removeEventListener("visibilitychange", open);
      close();
    };
  }, [pipeline]);
  return state;
}
