// Makes the small tables the card suite is tried on: a clean one, one with planted faults, and one cut down to a ruin.
import { writeFileSync } from "node:fs";

const ROWS = 120;
const START = Date.UTC(2026, 0, 5);
const STEP_MS = 37 * 60_000;

/** A number in [0, 1) that depends on the row and a salt only (a multiplicative hash, good enough for test data). */
function noise(row, salt) {
  const mixed = Math.imul(row * 2654435761 + salt * 40503, 2246822519) >>> 0;
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
}

function iso(ms) {
  return new Date(ms).toISOString().slice(0, 19);
}

function cleanTable() {
  const rows = Array.from({ length: ROWS }, (_, row) => row);
  return {
    transaction_id: { kind: "int", values: rows.map((row) => 5000 + row) },
    time: { kind: "time", values: rows.map((row) => iso(START + row * STEP_MS)) },
    amount: { kind: "float", values: rows.map((row) => Math.round(noise(row, 1) * 9000 + 150) / 100 + 0.005) },
    customer_id: { kind: "text", values: rows.map((row) => `c${Math.floor(noise(row, 2) * 12)}`) },
    terminal_id: {
      kind: "text",
      values: rows.map((row) => (row % 50 === 7 ? null : `t${Math.floor(noise(row, 3) * 8)}`)),
    },
    is_fraud: { kind: "int", values: rows.map((row) => (row % 40 === 11 ? 1 : 0)) },
  };
}

/** Every row-wise expectation of the suite meets a fault here. */
function faultyTable() {
  const table = cleanTable();
  const put = (name, row, value) => {
    table[name].values[row] = value;
  };
  table.transaction_id.kind = "text";
  table.transaction_id.values = table.transaction_id.values.map((id) => `tx-${id}`);
  put("transaction_id", 3, null);
  put("transaction_id", 20, "tx-5010");
  put("transaction_id", 21, "tx-5010");
  put("time", 5, null);
  put("time", 6, "1970-01-21T10:00:00");
  put("amount", 8, null);
  put("amount", 9, -12.5);
  put("amount", 10, "inf");
  for (let row = 30; row < ROWS; row++) put("amount", row, table.amount.values[row] * 1000);
  table.is_fraud.kind = "float";
  for (let row = 0; row < 50; row++) put("is_fraud", row, 1);
  put("is_fraud", 60, 2);
  put("is_fraud", 61, null);
  for (let row = 40; row < 60; row++) put("customer_id", row, null);
  for (let row = 70; row < 85; row++) put("terminal_id", row, null);
  for (const name of ["time", "customer_id", "terminal_id", "amount"]) put(name, 101, table[name].values[100]);
  return table;
}

/** Too few rows, no label, no customer, and amounts that never change. */
function ruinedTable() {
  const { transaction_id, time, amount } = cleanTable();
  const head = ({ kind, values }) => ({ kind, values: values.slice(0, 12) });
  return {
    transaction_id: head(transaction_id),
    time: head(time),
    amount: { kind: "float", values: head(amount).values.map(() => 1.5) },
  };
}

const tables = { clean: cleanTable(), faulty: faultyTable(), ruined: ruinedTable() };
const file = new URL("../../test/quality/reference/card.json", import.meta.url);
writeFileSync(file, `${JSON.stringify({ tables }, null, 1)}\n`);
