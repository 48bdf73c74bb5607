// The thread that writes the logs of this process, started at the first record; every log hears of a crash, and a new thread follows.
import { Worker } from "node:worker_threads";
import { asBuilt } from "../../../core/built.ts";
import { messageOf } from "../../../core/errors.ts";
import type { FromThread, ToThread } from "./messages.ts";

/** What a log hears of the thread. */
export interface Listener {
  receive(message: FromThread): void;
  /** The thread is gone, and a new one knows nothing: the log hands over again what was not written. */
  restarted(why: string): void;
}

export interface LogThread {
  say(message: ToThread): void;
  /** Logs of this process that are written, this one included. */
  readonly logs: number;
  /** Whether the process waits for this log's thread; at first it does not. */
  wait(needed: boolean): void;
  leave(): void;
}

/** A thread that dies again and again is started anew no sooner than this. */
const RESTART_MS = 1000;
const THREAD = asBuilt(new URL("./thread.js", import.meta.url));

const listeners = new Map<number, Listener>();
const waitedFor = new Set<number>();
let worker: Worker | null = null;
let made = 0;

/** A log's line to the thread, and the number that it is known by there. */
export function joinThread(listener: Listener): { readonly id: number; readonly thread: LogThread } {
  const id = ++made;
  listeners.set(id, listener);
  return {
    id,
    thread: {
      say: (message) => running().postMessage(message),
      get logs() {
        return listeners.size;
      },
      wait(needed) {
        if (needed) waitedFor.add(id);
        else waitedFor.delete(id);
        if (waitedFor.size > 0) worker?.ref();
        else worker?.unref();
      },
      leave() {
        listeners.delete(id);
        waitedFor.delete(id);
        if (waitedFor.size === 0) worker?.unref();
      },
    },
  };
}

function running(): Worker {
  if (worker !== null) return worker;
  const started = new Worker(THREAD);
  let why = "";
  worker = started;
  if (waitedFor.size === 0) started.unref();
  started.on("message", (message: FromThread) => listeners.get(message.log)?.receive(message));
  started.on("error", (error) => {
    why = messageOf(error);
  });
  started.on("exit", (code) => {
    if (worker !== started) return;
    worker = null;
    const timer = setTimeout(() => {
      for (const listener of [...listeners.values()])
        listener.restarted(why === "" ? `it left with code ${code}` : why);
    }, RESTART_MS);
    if (waitedFor.size === 0) timer.unref();
  });
  return started;
}
