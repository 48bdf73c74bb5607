// Request ids: the client's own where it sends one, else ours; every answer names it, and so does the log of a fault.
import { randomBytes } from "node:crypto";

export const REQUEST_ID = "x-request-id";
/** What is taken of clients: enough for a UUID, a ULID or a trace id, and nothing that could do tricks in a log. */
const TAKEN = /^[\w.:/+=-]{1,128}$/;

/** Gives a request its id; `given` is the client's header. */
export type RequestIds = (given: string | null | undefined) => string;

/** Ids of one server: a random beginning, then a count, because a random number a request costs more than it says. */
export function createRequestIds(beginning: string = randomBytes(6).toString("hex")): RequestIds {
  let count = 0;
  return (given) => {
    if (given !== null && given !== undefined && TAKEN.test(given)) return given;
    count++;
    return `${beginning}-${count.toString(36)}`;
  };
}
