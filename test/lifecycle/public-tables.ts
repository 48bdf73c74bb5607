// Small tables made by the columns that the public fraud tables are published with; frauds are larger, and told by other columns too.
import { Random } from "../../src/core/random.ts";

export interface PublicTable {
  /** Files in order, each with its header, as published. */
  readonly files: readonly string[];
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly label: string;
  /** Event time of the last row, as the example's origin has it. */
  readonly until: number;
  /** A column that keys a history, if any. */
  readonly key?: string;
}

type Row = Readonly<Record<string, string>>;
interface Draw {
  readonly random: Random;
  readonly fraud: boolean;
  /** Place of the row in time, 0 … 1. */
  readonly at: number;
  /** Of the whole table. */
  readonly rows: number;
}

const ROWS = 1600;
const FRAUD_SHARE = 0.1;
const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
const decimal = (random: Random, low: number, high: number): string => random.uniform(low, high).toFixed(2);
const pick = (random: Random, words: readonly string[]): string => words[random.integer(words.length)];
/** A number that says something about fraud, and is missing at times. */
const telling = ({ random, fraud }: Draw): string =>
  random.next() < 0.05 ? "" : (random.uniform(-2, 2) + (fraud ? 1.5 : 0)).toFixed(6);
/** Frauds are larger in the mean, and no more: ranking by amount must not be all that there is to learn. */
const amountOf = ({ random, fraud }: Draw): string => decimal(random, 1, fraud ? 700 : 500);
/** A word that most frauds have and some others. */
const typical = ({ random, fraud }: Draw, word: string, others: readonly string[]): string =>
  random.next() < (fraud ? 0.92 : 0.05) ? word : pick(random, others);
const day = (ms: number): string => new Date(ms).toISOString();

interface Maker {
  readonly files: readonly string[];
  readonly label: string;
  readonly key?: string;
  readonly until: number;
  row(draw: Draw): Row;
}

const SPARKOV = { from: Date.UTC(2020, 0, 1), days: 200 };
const TABFORMER = { from: Date.UTC(2018, 0, 1), days: 300 };
const HOUR_MS = 3_600_000;

/** Columns by the hundred, named once and not for every row. */
const IEEE = {
  counted: [...numbered("C", 14), ...numbered("D", 15)],
  matched: numbered("M", 9),
  made: numbered("V", 339),
};
const ELLIPTIC = [...numbered("Local_feature_", 93), ...numbered("Aggregate_feature_", 72)];

const MAKERS: Readonly<Record<string, Maker>> = {
  creditcard: {
    files: ["creditcard.csv"],
    label: "Class",
    until: Date.UTC(2013, 8, 1) + 172_792_000,
    row: (draw) => ({
      Time: String(Math.floor(draw.at * 172_792)),
      ...Object.fromEntries(numbered("V", 28).map((name) => [name, telling(draw) || "0"])),
      Amount: amountOf(draw),
      Class: `"${draw.fraud ? 1 : 0}"`,
    }),
  },
  paysim: {
    files: ["PS_20174392719_1491204439457_log.csv"],
    label: "isFraud",
    key: "nameDest",
    until: Date.UTC(2024, 0, 1) + 743 * HOUR_MS,
    row: (draw) => ({
      step: String(1 + Math.floor(draw.at * 742)),
      type: typical(draw, "TRANSFER", ["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT"]),
      amount: amountOf(draw),
      nameOrig: `C${1_000_000 + draw.random.integer(900)}`,
      oldbalanceOrg: decimal(draw.random, 0, 5000),
      newbalanceOrig: draw.random.next() < (draw.fraud ? 0.9 : 0.3) ? "0.0" : decimal(draw.random, 0, 5000),
      nameDest: `M${2_000_000 + draw.random.integer(60)}`,
      oldbalanceDest: decimal(draw.random, 0, 5000),
      newbalanceDest: decimal(draw.random, 0, 5000),
      isFraud: draw.fraud ? "1" : "0",
      isFlaggedFraud: "0",
    }),
  },
  sparkov: {
    files: ["fraudTrain.csv", "fraudTest.csv"],
    label: "is_fraud",
    key: "cc_num",
    until: SPARKOV.from + SPARKOV.days * 24 * HOUR_MS,
    row: (draw) => ({
      "": String(Math.floor(draw.at * draw.rows)),
      trans_date_trans_time: day(SPARKOV.from + draw.at * SPARKOV.days * 24 * HOUR_MS)
        .slice(0, 19)
        .replace("T", " "),
      cc_num: `${pick(draw.random, ["461331472196", "38859492057", "49568289900051110", "060416207"])}${draw.random.integer(9)}`,
      merchant: `"fraud_Rippin, Kub and Mann ${draw.random.integer(20)}"`,
      category: typical(draw, "misc_net", ["grocery_pos", "entertainment", "gas_transport", "home"]),
      amt: amountOf(draw),
      first: "Ann",
      last: "Lee",
      gender: "F",
      street: "561 Perry Cove",
      city: "Moravian Falls",
      state: "NC",
      zip: "28654",
      lat: "36.0788",
      long: "-81.1781",
      city_pop: "3495",
      job: '"Psychologist, counselling"',
      dob: "1988-03-09",
      trans_num: `${Math.floor(draw.at * 1e9).toString(16)}e${draw.random.integer(1e6)}`,
      unix_time: "1325376018",
      merch_lat: decimal(draw.random, 35, 37),
      merch_long: decimal(draw.random, -82, -80),
      is_fraud: draw.fraud ? "1" : "0",
    }),
  },
  tabformer: {
    files: ["card_transaction.v1.csv"],
    label: "Is Fraud?",
    key: "User",
    until: TABFORMER.from + TABFORMER.days * 24 * HOUR_MS,
    row(draw) {
      const time = new Date(TABFORMER.from + draw.at * TABFORMER.days * 24 * HOUR_MS);
      const amount = amountOf(draw);
      return {
        User: String(draw.random.integer(30)),
        Card: String(draw.random.integer(2)),
        Year: String(time.getUTCFullYear()),
        Month: String(time.getUTCMonth() + 1),
        Day: String(time.getUTCDate()),
        Time: time.toISOString().slice(11, 16),
        Amount: draw.random.next() < 0.05 ? `$-${amount}` : `$${amount}`,
        "Use Chip": typical(draw, "Online Transaction", ["Swipe Transaction", "Chip Transaction"]),
        "Merchant Name": pick(draw.random, ["3527213246127876953", "-727612092139916043", "5817218446178736267"]),
        "Merchant City": pick(draw.random, ["La Verne", "Monterey Park", "ONLINE"]),
        "Merchant State": pick(draw.random, ["CA", ""]),
        Zip: pick(draw.random, ["91750.0", "91754.0", ""]),
        MCC: typical(draw, "5300", ["5411", "5651"]),
        "Errors?": pick(draw.random, ["", "", "", "Bad PIN", '"Insufficient Balance,Bad PIN"']),
        "Is Fraud?": draw.fraud ? "Yes" : "No",
      };
    },
  },
  banksim: {
    files: ["bs140513_032310.csv"],
    label: "fraud",
    key: "customer",
    until: Date.UTC(2024, 0, 1) + 179 * 24 * HOUR_MS,
    row: (draw) => ({
      step: String(Math.floor(draw.at * 179)),
      customer: `'C${1093826151 + draw.random.integer(60)}'`,
      age: pick(draw.random, ["'0'", "'4'", "'2'", "'U'"]),
      gender: pick(draw.random, ["'M'", "'F'", "'E'"]),
      zipcodeOri: "'28007'",
      merchant: `'M${348934600 + draw.random.integer(12)}'`,
      zipMerchant: "'28007'",
      category: typical(draw, "'es_travel'", ["'es_transportation'", "'es_health'"]),
      amount: amountOf(draw),
      fraud: draw.fraud ? "1" : "0",
    }),
  },
  baf: {
    files: ["Base.csv"],
    label: "fraud_bool",
    until: Date.UTC(2024, 7, 1),
    row: (draw) => ({
      fraud_bool: draw.fraud ? "1" : "0",
      income: (draw.random.integer(9) / 10 + 0.1).toFixed(1),
      name_email_similarity: draw.random.next().toFixed(6),
      ...Object.fromEntries(
        [
          "prev_address_months_count",
          "current_address_months_count",
          "customer_age",
          "days_since_request",
          "intended_balcon_amount",
        ].map((name) => [name, String(draw.random.integer(90) - 1)]),
      ),
      payment_type: pick(draw.random, ["AA", "AB", "AC"]),
      zip_count_4w: String(draw.random.integer(3000)),
      velocity_6h: decimal(draw.random, -100, 9000),
      velocity_24h: decimal(draw.random, 1000, 9000),
      velocity_4w: decimal(draw.random, 3000, 7000),
      bank_branch_count_8w: String(draw.random.integer(2000)),
      date_of_birth_distinct_emails_4w: String(draw.random.integer(30)),
      employment_status: pick(draw.random, ["CA", "CB", "CC"]),
      credit_risk_score: String(draw.random.integer(200) + (draw.fraud ? 150 : 0)),
      email_is_free: String(draw.random.integer(2)),
      housing_status: pick(draw.random, ["BA", "BB", "BC"]),
      phone_home_valid: String(draw.random.integer(2)),
      phone_mobile_valid: String(draw.random.integer(2)),
      bank_months_count: String(draw.random.integer(30) - 1),
      has_other_cards: String(draw.random.integer(2)),
      proposed_credit_limit: draw.fraud ? "1500.0" : pick(draw.random, ["200.0", "500.0", "1500.0"]),
      foreign_request: "0",
      source: pick(draw.random, ["INTERNET", "TELEAPP"]),
      session_length_in_minutes: decimal(draw.random, -1, 60),
      device_os: pick(draw.random, ["linux", "windows", "other"]),
      keep_alive_session: String(draw.random.integer(2)),
      device_distinct_emails_8w: String(draw.random.integer(3)),
      device_fraud_count: "0",
      month: String(Math.floor(draw.at * 7.999)),
    }),
  },
  "ieee-cis": {
    files: ["train_transaction.csv"],
    label: "isFraud",
    key: "card1",
    until: Date.UTC(2017, 10, 30) + 15_811_131_000,
    row: (draw) => ({
      TransactionID: String(2_987_000 + Math.floor(draw.at * draw.rows + 0.5)),
      isFraud: draw.fraud ? "1" : "0",
      TransactionDT: String(86_400 + Math.floor(draw.at * 15_724_731)),
      TransactionAmt: amountOf(draw),
      ProductCD: pick(draw.random, ["W", "C", "H"]),
      card1: String(1000 + draw.random.integer(40)),
      card2: pick(draw.random, ["", "404.0", "490.0"]),
      card3: "150.0",
      card4: pick(draw.random, ["discover", "mastercard", "visa", ""]),
      card5: "142.0",
      card6: pick(draw.random, ["credit", "debit"]),
      addr1: pick(draw.random, ["315.0", "325.0", ""]),
      addr2: "87.0",
      dist1: pick(draw.random, ["19.0", ""]),
      dist2: "",
      P_emaildomain: pick(draw.random, ["gmail.com", "", "outlook.com"]),
      R_emaildomain: "",
      ...Object.fromEntries(IEEE.counted.map((name) => [name, telling(draw)])),
      ...Object.fromEntries(
        IEEE.matched.map((name) => [
          name,
          name === "M4" ? pick(draw.random, ["M0", "M2", ""]) : pick(draw.random, ["T", "F", ""]),
        ]),
      ),
      ...Object.fromEntries(IEEE.made.map((name, i) => [name, i % 7 === 0 ? telling(draw) : "1.0"])),
    }),
  },
  elliptic: {
    files: ["elliptic.csv"],
    label: "class",
    until: Date.UTC(2016, 0, 1) + 49 * 14 * 24 * HOUR_MS,
    row: (draw) => ({
      txId: String(230_425_980 + Math.floor(draw.at * draw.rows + 0.5)),
      "Time step": String(1 + Math.floor(draw.at * 48.999)),
      ...Object.fromEntries(ELLIPTIC.map((name) => [name, telling(draw) || "0"])),
      class: draw.random.next() < 0.3 ? "unknown" : draw.fraud ? "1" : "2",
    }),
  },
};

export const PUBLIC_TABLES = Object.keys(MAKERS);

/** A table of an example's kind, its rows in the order of time. */
export function makePublicTable(
  name: string,
  seed: number,
  { rows = ROWS, fraudShare = FRAUD_SHARE }: { readonly rows?: number; readonly fraudShare?: number } = {},
): PublicTable {
  const { row: make, ...maker } = MAKERS[name];
  const random = new Random(seed);
  const made = Array.from({ length: rows }, (_, i) => {
    return make({ random, fraud: random.next() < fraudShare, at: i / (rows - 1), rows });
  });
  const header = Object.keys(made[0]);
  return { ...maker, header, rows: made.map((row) => header.map((column) => row[column])) };
}

/** Rows as CSV. */
export function csvOf(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return `${[header, ...rows].map((cells) => cells.join(",")).join("\n")}\n`;
}
