// Leaks: columns that tell the label by themselves, as a scenario's number or the date of a chargeback does; no request could bring them.
import { type Column, textAt } from "../../core/table.ts";
import type { Profile } from "./profile.ts";

/** Up to so many different values each is looked at; of others whether they are there, zero or neither. */
const VALUES_MAX = 50;
/** Frauds below which a column may tell them by chance. */
const FRAUDS_MIN = 10;
/** Rows that the column's values would call wrongly, as a share of the frauds: no honest column is as good. */
const WRONG_SHARE_MAX = 0.02;

/** Names of those columns whose values, each taken for what most of its rows are, give nearly every label. `labels`: 1, 0, or −1 for not known. */
export function leaksOf(profiles: readonly Profile[], labels: Int8Array): readonly string[] {
  let frauds = 0;
  let known = 0;
  for (const label of labels) {
    if (label >= 0) known++;
    if (label === 1) frauds++;
  }
  const rarer = Math.min(frauds, known - frauds);
  if (rarer < FRAUDS_MIN) return [];
  return profiles.filter((profile) => wrongRows(profile, labels) <= WRONG_SHARE_MAX * rarer).map(({ name }) => name);
}

function wrongRows({ column, distinct }: Profile, labels: Int8Array): number {
  const groupAt = distinct <= VALUES_MAX ? (row: number) => textAt(column, row) : presenceOf(column);
  const counts = new Map<string | null, [number, number]>();
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row];
    if (label < 0) continue;
    const group = groupAt(row);
    const count = counts.get(group) ?? [0, 0];
    count[label]++;
    counts.set(group, count);
  }
  return [...counts.values()].reduce((wrong, [genuine, frauds]) => wrong + Math.min(genuine, frauds), 0);
}

function presenceOf(column: Column): (row: number) => string {
  if (column.kind === "text") return (row) => (column.codes[row] < 0 ? "missing" : "there");
  return (row) => (Number.isNaN(column.values[row]) ? "missing" : column.values[row] === 0 ? "zero" : "there");
}
