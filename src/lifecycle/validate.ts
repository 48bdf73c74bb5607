// Validate (placeholder until the data gate lands): passes everything.
import type { Table } from "../core/table.ts";
import { type Verdict, verdictOf } from "../core/verdict.ts";
import type { Pipeline } from "./pipeline.ts";

export function gateOf(_pipeline: Pipeline, _table: Table): { readonly verdict: Verdict } {
  return { verdict: verdictOf("data", []) };
}
