// Features of the Bank Account Fraud tables: all that an application says; the table has no customer to keep a history by.
import type { FeatureDef } from "sentinel-fraud";
import { declareColumns } from "sentinel-fraud";

/** −1 in some of them says that the value is missing, which trees part from the rest by themselves. */
const NUMBERS = [
  "income",
  "name_email_similarity",
  "prev_address_months_count",
  "current_address_months_count",
  "customer_age",
  "days_since_request",
  "intended_balcon_amount",
  "zip_count_4w",
  "velocity_6h",
  "velocity_24h",
  "velocity_4w",
  "bank_branch_count_8w",
  "date_of_birth_distinct_emails_4w",
  "credit_risk_score",
  "email_is_free",
  "phone_home_valid",
  "phone_mobile_valid",
  "bank_months_count",
  "has_other_cards",
  "proposed_credit_limit",
  "foreign_request",
  "session_length_in_minutes",
  "keep_alive_session",
  "device_distinct_emails_8w",
  "device_fraud_count",
] as const;
const WORDS = {
  payment_type: ["AA", "AB", "AC", "AD", "AE"],
  employment_status: ["CA", "CB", "CC", "CD", "CE", "CF", "CG"],
  housing_status: ["BA", "BB", "BC", "BD", "BE", "BF", "BG"],
  source: ["INTERNET", "TELEAPP"],
  device_os: ["linux", "macintosh", "other", "windows", "x11"],
} as const;
const f = declareColumns({
  ...Object.fromEntries(NUMBERS.map((name) => [name, "number" as const])),
  ...Object.fromEntries(Object.keys(WORDS).map((name) => [name, "key" as const])),
});
/** The number in a column, under the column's own name. */
const column = (name: string): FeatureDef => ({ kind: "column", name, column: name });
const word = ([name, values]: readonly [string, readonly string[]]): FeatureDef => ({
  kind: "category",
  name,
  column: name,
  values,
});

export const baf = f.spec({
  name: "baf",
  version: 1,
  features: [...NUMBERS.map(column), ...Object.entries(WORDS).map(word)],
});
