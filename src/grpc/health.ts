// Health (grpc.health.v1): readiness as the probes over HTTP tell it, of the server, its services and each pipeline; asked, listed and watched.
import type { ServerWritableStream } from "@grpc/grpc-js";
import { SentinelError } from "../core/errors.ts";
import { isAnyReady, statusOf } from "../online/readiness.ts";
import { type Aside, stopping } from "./aside.ts";
import { type Door, decoded, type UnaryMethod } from "./calls.ts";
import type { MessageType } from "./contract.ts";
import type { Caller } from "./parts.ts";

/** How soon a watch tells of a change. */
const LOOK_MS = 200;
/** Before the name of a pipeline. */
const PIPELINES = "pipelines/";

export const HEALTH_TERMS = { need: "open", shed: false, streams: false } as const;
export const WATCH_TERMS = { need: "open", shed: false, streams: true } as const;

type Serving = "SERVING" | "NOT_SERVING" | "SERVICE_UNKNOWN";

interface Watch {
  readonly name: string;
  readonly caller: Caller;
  last: Serving | null;
  tell(status: Serving): void;
}

/** The health of a door; `services` are the full names of those that need a pipeline. */
export class Health {
  private readonly door: Door;
  private readonly aside: Aside;
  private readonly services: readonly string[];
  private readonly watches = new Set<Watch>();
  private timer: NodeJS.Timeout | undefined;

  constructor(door: Door, of: { readonly aside: Aside; readonly services: readonly string[] }) {
    this.door = door;
    this.aside = of.aside;
    this.services = of.services;
  }

  get check(): UnaryMethod {
    return {
      terms: HEALTH_TERMS,
      run: ({ request, admitted: { caller } }) => {
        const { service = "" } = request as { readonly service?: string };
        const status = this.statusOf(service, caller);
        if (status !== "SERVICE_UNKNOWN") return { status };
        throw new SentinelError("request.not-found", `there is no service ${JSON.stringify(service)}`, {
          hint: `ask for one of ${this.names(caller)
            .map((name) => JSON.stringify(name))
            .join(", ")}`,
        });
      },
    };
  }

  get list(): UnaryMethod {
    return {
      terms: HEALTH_TERMS,
      run: ({ admitted: { caller } }) => ({
        statuses: Object.fromEntries(this.names(caller).map((name) => [name, { status: this.statusOf(name, caller) }])),
      }),
    };
  }

  /** Tells the status at once, and each change of it. */
  watch(type: MessageType): (call: ServerWritableStream<Buffer, object>) => void {
    return (call) => {
      const { admission, statuses } = this.door;
      const admitted = admission.of(call.metadata);
      const fail = (error: unknown): void => {
        admitted.ended(error);
        call.emit("error", statuses.of(error, admitted.id));
      };
      try {
        const { service: name = "" } = decoded(type, call.request) as { readonly service?: string };
        const leave = this.aside.enter(() => fail(stopping()));
        const one: Watch = { name, caller: admitted.caller, last: null, tell: (status) => void call.write({ status }) };
        this.watches.add(one);
        call.once("cancelled", () => {
          this.watches.delete(one);
          leave();
          if (this.watches.size > 0) return;
          clearInterval(this.timer);
          this.timer = undefined;
        });
        this.timer ??= setInterval(() => this.look(), LOOK_MS).unref();
        this.look();
      } catch (error) {
        fail(error);
      }
    };
  }

  /** Tells the watches what has changed. */
  look(): void {
    for (const one of this.watches) {
      const status = this.statusOf(one.name, one.caller);
      if (status === one.last) continue;
      one.last = status;
      one.tell(status);
    }
  }

  stop(): void {
    clearInterval(this.timer);
    this.watches.clear();
  }

  private names(caller: Caller): readonly string[] {
    const pipelines = this.door.parts
      .roomOf(caller)
      .pipelines.all()
      .map(({ name }) => `${PIPELINES}${name}`);
    return ["", ...this.services, ...pipelines];
  }

  private statusOf(name: string, caller: Caller): Serving {
    const room = this.door.parts.roomOf(caller);
    const { pipelines } = room;
    if (name === "" || this.services.includes(name)) {
      const ready = isAnyReady(pipelines.all()) || room.readyElsewhere?.() === true;
      return ready ? "SERVING" : "NOT_SERVING";
    }
    const slot = name.startsWith(PIPELINES) ? pipelines.get(name.slice(PIPELINES.length)) : undefined;
    if (slot === undefined) return "SERVICE_UNKNOWN";
    return statusOf(slot).status === "not ready" ? "NOT_SERVING" : "SERVING";
  }
}
