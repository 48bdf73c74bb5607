// The prediction logs of all pipelines; on PostgreSQL alone, since embedded each has a file of its own.
import { sql as raw } from "kysely";
import type { Migration } from "../migration.ts";

export const log: Migration = {
  name: "008-log",
  async up(sql, { kind, named }) {
    if (kind === "embedded") return;
    // Times are doubles, as JavaScript's are; texts of JSON stay as they were written, so that a field keeps its place and its last digit.
    const statements = [
      raw`create table ${named("logs")} (id bigint generated always as identity primary key, name text not null unique)`,
      raw`create table ${named("log_counters")} (
        log bigint not null, name text not null, value bigint not null, primary key (log, name))`,
      raw`create table ${named("log_writers")} (
        log bigint not null, writer text not null, items bigint not null, written_at timestamptz not null,
        primary key (log, writer))`,
      raw`create table ${named("log_predictions")} (
        log bigint not null, sequence bigint not null, transaction_id text collate "C" not null,
        time double precision, received_at double precision, fields text not null, extra text not null, vector bytea not null,
        score double precision, anomaly_score double precision, decision text not null, version text not null,
        bundle text not null, latency_ms double precision, degraded smallint not null, applied bigint, rules text,
        explored text, adapted text, position text,
        primary key (log, sequence), unique (log, transaction_id))`,
      raw`create index log_predictions_applied on ${named("log_predictions")} (log, applied) where applied > 0`,
      raw`create table ${named("log_labels")} (
        log bigint not null, sequence bigint not null, transaction_id text collate "C" not null, fraud smallint not null,
        known_at double precision, source text not null, received_at double precision, applied bigint,
        review text, primary key (log, sequence))`,
      raw`create index log_labels_latest on ${named("log_labels")}
        (log, transaction_id, known_at desc nulls last, sequence desc)`,
      raw`create unique index log_labels_applied on ${named("log_labels")} (log, applied) where applied > 0`,
      raw`create table ${named("log_shadows")} (
        log bigint not null, id bigint generated always as identity, transaction_id text collate "C" not null,
        time double precision, champion_version text not null, champion_score double precision,
        champion_decision text not null, candidate_version text collate "C" not null, candidate_score double precision,
        candidate_decision text not null, bundle text not null, latency_ms double precision,
        champion_latency_ms double precision, vector_hash text not null,
        primary key (log, id), unique (log, transaction_id, candidate_version))`,
      raw`create index log_shadows_by_candidate on ${named("log_shadows")} (log, candidate_version, id)`,
      raw`create table ${named("log_coverage")} (
        log bigint not null, version text collate "C" not null, outcome text not null, count bigint not null,
        primary key (log, version, outcome))`,
    ];
    for (const statement of statements) await statement.execute(sql);
  },
};
