// What PostgreSQL's errors and those of the connection mean for the store (https://www.postgresql.org/docs/current/errcodes-appendix.html).
import type { Fault } from "../sql/database.ts";

/** What the driver says without a code when a connection ends or none can be had in time. */
const CONNECTION_TEXT =
  /connection terminated|timeout exceeded when trying to connect|client was closed|connection ended|query read timeout|cannot use a pool after|not queryable|ssl connection/i;
const NETWORK_CODE =
  /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|EPIPE|ETIMEDOUT|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_TLS)/;

/** Null: no error of the database's. */
export function faultOf(error: unknown): Fault | null {
  if (!(error instanceof Error)) return null;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // Node tries all addresses of a name and reports what each of them said.
  if (error instanceof AggregateError && code === "")
    return error.errors.length === 0 ? null : faultOf(error.errors[0]);
  if (NETWORK_CODE.test(code) || CONNECTION_TEXT.test(error.message)) return "away";
  if (/^SASL/.test(error.message)) return "denied";
  if (!/^[0-9A-Z]{5}$/.test(code)) return null;
  if (code === "23505") return "taken";
  // A deadlock, or a row that another transaction changed first: the whole transaction is tried again.
  if (code === "40001" || code === "40P01" || code === "55P03") return "busy";
  if (code === "28000" || code === "28P01" || code === "3D000" || code === "42501") return "denied";
  if (code === "53100") return "full";
  if (code.startsWith("08") || code.startsWith("53") || code.startsWith("57")) return "away";
  if (code === "42P01" || code === "42703" || code === "3F000") return "shape";
  return code.startsWith("XX") ? "corrupt" : "refused";
}
