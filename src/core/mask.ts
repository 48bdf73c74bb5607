// Masks: values of personal columns in what is shown, under their own names and wherever else in the same document they stand.

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

export interface MaskOptions {
  /** Names of personal columns, any spelling. */
  readonly names: Iterable<string>;
  /** True: members that are called `entity` hold a value of such a column. */
  readonly entity?: boolean;
}

/** Hides personal values of JSON-like documents. Pure. */
export class Mask {
  private readonly names: ReadonlySet<string>;

  constructor({ names, entity = false }: MaskOptions) {
    this.names = new Set([...names, ...(entity ? ["entity"] : [])].map((name) => name.toLowerCase()));
  }

  get isEmpty(): boolean {
    return this.names.size === 0;
  }

  has(column: string): boolean {
    return this.names.has(column.toLowerCase());
  }

  /** The document with every personal value hidden; the same one where there is none. */
  document<Value>(value: Value): Value {
    if (this.isEmpty) return value;
    const values = new Set<string>();
    this.collect(value, values, 0);
    if (values.size === 0) return value;
    return this.hidden(value, { values, inside: insideOf(values), depth: 0 }) as Value;
  }

  /** A line of a log: its members as a document's, and in its texts what stands behind a personal name, as in JSON or in a query. */
  line<Facts extends object>(facts: Facts): Facts {
    if (this.isEmpty) return facts;
    const any = [...this.names].map(escaped).join("|");
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
      if (!this.isPersonal(record, name)) this.collect(member, values, depth + 1);
      else
        for (const one of [member].flat(DEPTH_MAX)) {
          if ((typeof one === "string" && one !== "") || typeof one === "number") values.add(String(one));
          else this.collect(one, values, depth + 1);
        }
    }
  }

  private hidden(value: unknown, on: Hiding): unknown {
    if (typeof value === "string") return on.values.has(value) ? MASK : on.inside(value);
    if (value === null || typeof value !== "object") return value;
    // Deeper than any document of ours.
    if (on.depth > DEPTH_MAX) return MASK;
    const within = { ...on, depth: on.depth + 1 };
    if (Array.isArray(value)) return value.map((item) => this.hidden(item, within));
    const record = value as Readonly<Record<string, unknown>>;
    return Object.fromEntries(
      Object.entries(record).map(([name, member]) => {
        const gone = this.isPersonal(record, name) && member !== null && typeof member !== "boolean";
        return [name, gone && typeof member !== "object" ? MASK : this.hidden(member, within)];
      }),
    );
  }
}

interface Hiding {
  readonly values: ReadonlySet<string>;
  readonly inside: (text: string) => string;
  readonly depth: number;
}

function insideOf(values: ReadonlySet<string>): (text: string) => string {
  if (values.size > VALUES_MAX) return () => MASK;
  const long = [...values].filter((value) => value.length >= INSIDE_LENGTH_MIN).sort((a, b) => b.length - a.length);
  if (long.length === 0) return (text) => text;
  const any = long.map(escaped).join("|");
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${any})(?![\\p{L}\\p{N}])`, "gu");
  return (text) => text.replace(pattern, MASK);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}
