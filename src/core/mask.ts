// Masks: values of personal columns in what is shown, under their own names and wherever else in the same document they stand.
import { escapedPattern, wordsPattern } from "./pattern.ts";

/** Stands for a value. Always the same: neither its length nor whether two are equal shows. */
export const MASK = "***";
/** Shorter values are masked where they stand alone, and not within longer texts, of which they may be any part. */
const INSIDE_LENGTH_MIN = 4;
/** Different values of one document; beyond it texts are masked as a whole. */
const VALUES_MAX = 10_000;
const DEPTH_MAX = 64;
/** Members that hold a value of the column which another member of the same record names. */
const NAMING: readonly string[] = ["column", "entity_column"];
const NAMED: readonly string[] = ["value", "entity", "key"];
/** Members that hold a condition in the language of rules, where texts stand in single quotes. */
const CONDITIONS: readonly string[] = ["when", "expression", "rule_expression"];
/** Members that hold lines about changed rules and lists. */
const CHANGES = "changes";
const QUOTED = /'((?:[^']|'')*)'/g;
const NUMBER = /(?<![\p{L}\p{N}_.])\d+(?:\.\d+)?(?![\p{L}\p{N}_])/gu;
const LIST_LINE = /^(~ list \S+: ).+$/s;
/** What says or repeats whose a record is, where nobody knows which of its columns are personal. */
const TELLING: ReadonlySet<string> = new Set([
  ...[...NAMED, ...CONDITIONS, CHANGES, "transaction", "transaction_data", "reasons"],
  ...["text", "comment", "before", "after", "body"],
]);
/** Members that say whose pipeline's a record is, by number or by name. */
const WHOSE: readonly string[] = ["pipeline_id", "pipeline"];

export interface MaskOptions {
  /** Names of personal columns, any spelling. */
  readonly names: Iterable<string>;
  /** True: members that are called `entity` hold a value of such a column. */
  readonly entity?: boolean;
  /**
   * Pipelines, by number and by name, whose personal columns are known. Given: records of others, and those that name none, lose everything that
   * may say whose they are. Absent: all are known.
   */
  readonly readable?: ReadonlySet<string>;
}

/** Hides personal values of JSON-like documents. Pure. */
export class Mask {
  private readonly names: ReadonlySet<string>;
  private readonly readable: ReadonlySet<string> | null;

  constructor({ names, entity = false, readable }: MaskOptions) {
    this.readable = readable ?? null;
    this.names = new Set([...names, ...(entity ? ["entity"] : [])].map((name) => name.toLowerCase()));
  }

  get isEmpty(): boolean {
    return this.names.size === 0 && this.readable === null;
  }

  has(column: string): boolean {
    return this.names.has(column.toLowerCase());
  }

  /** The document with every personal value hidden; the same one where there is none. */
  document<Value>(value: Value): Value {
    if (this.isEmpty) return value;
    const values = new Set<string>();
    this.collect(value, values, 0);
    return this.hidden(value, { values, inside: insideOf(values), depth: 0, known: this.readable === null }) as Value;
  }

  /** A line of a log: its members as a document's, and in its texts what stands behind a personal name, as in JSON or in a query. */
  line<Facts extends object>(facts: Facts): Facts {
    if (this.isEmpty) return facts;
    const any = [...this.names].map(escapedPattern).join("|");
    const values = [
      // A text within JSON, within JSON within a text, cut off, and any other word.
      String.raw`"(?:[^"\\]|\\.)*"`,
      String.raw`\\"[^"\\]*\\"`,
      String.raw`\\?"[^"]*$`,
      String.raw`[^\s,;&}"'\]\\]+`,
    ].join("|");
    const name = String.raw`(?:^|[^\p{L}\p{N}_])(?:${any})\\?["']?\s*[:=]\s*`;
    const behind = new RegExp(`(${name})(?:${values})`, "giu");
    const shown = (value: unknown): unknown => {
      if (typeof value === "string") return value.replace(behind, `$1${MASK}`);
      if (Array.isArray(value)) return value.map(shown);
      if (value === null || typeof value !== "object") return value;
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shown(member)]));
    };
    return shown(this.document(facts)) as Facts;
  }

  private isPersonal(record: Readonly<Record<string, unknown>>, name: string): boolean {
    if (this.has(name)) return true;
    // An entry of a list: which column its value is of, stands in the rules that ask the list.
    if (name === "value" && typeof record.value === "string" && "from" in record && "to" in record) return true;
    if (!NAMED.includes(name)) return false;
    return NAMING.some((naming) => typeof record[naming] === "string" && this.has(record[naming]));
  }

  private collect(value: unknown, values: Set<string>, depth: number): void {
    if (value === null || typeof value !== "object" || depth > DEPTH_MAX || values.size > VALUES_MAX) return;
    if (Array.isArray(value)) {
      for (const item of value) this.collect(item, values, depth + 1);
      return;
    }
    const record = value as Readonly<Record<string, unknown>>;
    for (const [name, member] of Object.entries(record)) {
      if (this.isPersonal(record, name)) collectAll(member, values, depth + 1);
      else if (typeof member !== "string" || !CONDITIONS.includes(name)) this.collect(member, values, depth + 1);
      else if (this.isNamedIn(member)) for (const literal of literalsOf(member)) values.add(literal);
    }
  }

  /** Whether a condition reads a personal column; where in doubt, it does. */
  private isNamedIn(condition: string): boolean {
    const folded = condition.toLowerCase();
    return [...this.names].some((name) => folded.includes(name));
  }

  /** A condition, or a line that repeats one, without its texts; where it reads a personal column also without its numbers. */
  private condition(text: string): string {
    const bare = text.replace(QUOTED, `'${MASK}'`);
    return this.isNamedIn(text) ? bare.replace(NUMBER, MASK) : bare;
  }

  private hidden(value: unknown, on: Hiding): unknown {
    if (typeof value === "string") return on.values.has(value) ? MASK : on.inside(value);
    if (value === null || typeof value !== "object") return value;
    // Deeper than any document of ours.
    if (on.depth > DEPTH_MAX) return MASK;
    if (Array.isArray(value)) {
      const within = { ...on, depth: on.depth + 1 };
      return value.map((item) => this.hidden(item, within));
    }
    const record = value as Readonly<Record<string, unknown>>;
    const within = { ...on, depth: on.depth + 1, known: this.isKnown(record, on.known) };
    return Object.fromEntries(
      Object.entries(record).map(([name, member]) => {
        const gone = this.isPersonal(record, name) || (!within.known && TELLING.has(name));
        if (gone && member !== null && typeof member !== "boolean") return [name, MASK];
        if (typeof member === "string" && CONDITIONS.includes(name))
          return [name, this.hidden(this.condition(member), within)];
        if (Array.isArray(member) && name === CHANGES) return [name, member.map((line) => this.change(line, within))];
        return [name, this.hidden(member, within)];
      }),
    );
  }

  private change(line: unknown, on: Hiding): unknown {
    if (typeof line !== "string") return this.hidden(line, on);
    return this.hidden(this.condition(line.replace(LIST_LINE, `$1${MASK}`)), on);
  }

  /** Whether the personal columns of a record's pipeline are known; one that names no pipeline belongs to the record around it. */
  private isKnown(record: Readonly<Record<string, unknown>>, around: boolean): boolean {
    if (this.readable === null) return true;
    const whose = WHOSE.map((name) => record[name]).find((one) => typeof one === "string" || typeof one === "number");
    return whose === undefined ? around : this.readable.has(String(whose));
  }
}

/** Whatever stands under a personal name. */
function collectAll(value: unknown, values: Set<string>, depth: number): void {
  if (depth > DEPTH_MAX || values.size > VALUES_MAX) return;
  if ((typeof value === "string" && value !== "") || typeof value === "number") values.add(String(value));
  else if (value !== null && typeof value === "object")
    for (const member of Object.values(value)) collectAll(member, values, depth + 1);
}

function literalsOf(condition: string): readonly string[] {
  const texts = [...condition.matchAll(QUOTED)].map(([, text]) => text.replaceAll("''", "'"));
  return [...texts, ...(condition.replace(QUOTED, "").match(NUMBER) ?? [])].filter((text) => text !== "");
}

interface Hiding {
  readonly values: ReadonlySet<string>;
  readonly inside: (text: string) => string;
  readonly depth: number;
  /** Whether the personal columns of what is looked at are known. */
  readonly known: boolean;
}

function insideOf(values: ReadonlySet<string>): (text: string) => string {
  if (values.size > VALUES_MAX) return () => MASK;
  const long = [...values].filter((value) => value.length >= INSIDE_LENGTH_MIN).sort((a, b) => b.length - a.length);
  if (long.length === 0) return (text) => text;
  const pattern = wordsPattern(long);
  return (text) => text.replace(pattern, MASK);
}
