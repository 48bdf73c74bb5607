// Sections: a key written once stands in schema, parser, type and documents; kinds, cross-checks and faults with their line.
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, expectTypeOf, test } from "vitest";
import {
  becomes,
  duration,
  either,
  flag,
  list,
  number,
  oneOf,
  pair,
  record,
  share,
  size,
  text,
  textLike,
  whole,
} from "../../src/pipeline/kind.ts";
import { NOTIFICATIONS_FILE } from "../../src/pipeline/notifications.ts";
import { RULES_FILE } from "../../src/pipeline/rules.ts";
import { defaultsOf, key, rangesOf, section, type ValueOf } from "../../src/pipeline/section.ts";
import { CHAPTERS, PIPELINE } from "../../src/pipeline/sections.ts";
import { keyTable, withKeyTables } from "../../src/pipeline/tables.ts";
import { yamlReader } from "../../src/pipeline/yaml.ts";

const clock = section({
  column: key(text, { required: true, means: "Column with the time." }),
  unit: key(oneOf("s", "ms"), { default: "s", means: "What one step of it is." }),
});

const planted = section(
  {
    grace_period: key(duration({ from: "1s", to: "1h" }), { default: "5m", means: "How long we wait." }),
    cache: key(size({ from: "1KiB", to: "1GiB" }), { default: "64KiB", means: "Kept in memory | on disk." }),
    time: key(either(text, clock), { default: "time", means: "A column, or how to read one." }),
    weight: key(number({ above: 0, to: 1e6, unit: "days" }), { means: "Only where it is written." }),
    is_on: key(
      becomes(oneOf("on", "off"), (word) => word === "on"),
      { default: "on", as: "running", means: "On." },
    ),
    words: key(record(list(textLike("^[a-z]+$", "small letters"), { from: 1, to: 3 })), {
      default: {},
      means: "Words.",
    }),
    range: key(pair(share), { default: [0, 0.5], means: "Two ends." }),
    strict: key(flag, { default: false, means: "Say no." }),
    streams: key(list(section({ topic: key(text, { required: true, means: "Its name." }) }), { to: 2 }), {
      default: [],
      means: "Where events come from.",
    }),
    limits: section({ rows_max: key(whole({ from: 1, to: 10 }), { default: 3, means: "Rows." }) }),
  },
  {
    settle: (value, { refuse }) =>
      value.gracePeriodMs > 600_000 && value.strict
        ? refuse("grace_period", "strict waits ten minutes at most", "wait less")
        : value,
  },
);
const readPlanted = yamlReader(section({ planted }));
const plantedOf = (yaml: string) => readPlanted(yaml, "p.yaml").value.planted;

describe("a key written once", () => {
  test("stands in the schema, in what the parser makes, and in the documents", () => {
    const { properties } = planted.schema as { readonly properties: Readonly<Record<string, object>> };
    expect(properties.grace_period).toMatchObject({ type: "string", default: "5m", description: "How long we wait." });
    expect(plantedOf("planted: { grace_period: 90s }\n").gracePeriodMs).toBe(90_000);
    expect(plantedOf("planted: {}\n").gracePeriodMs).toBe(300_000);
    expect(keyTable({ planted })).toContain(
      "| `planted.grace_period` | `5m` | duration from 1s up to 1h | How long we wait. |\n",
    );
  });

  test("in a section of the pipeline it does too, by a line in that section alone", () => {
    const { fields } = PIPELINE;
    const more = section({
      ...fields,
      retrain: section({ ...fields.retrain.fields, pause: key(duration(), { default: "2h", means: "Planted." }) }),
    });
    const yaml =
      "name: n\nmodel: m\nsource: s\nfeatures: f\nschema: c\nsuite: u\ncolumns: {id: i, time: t, amount: a, card: c, label: l}\n";
    expect(yamlReader(more)(`${yaml}retrain: { pause: 3h }\n`, "p.yaml").value.retrain).toEqual({
      ...yamlReader(PIPELINE)(yaml, "p.yaml").value.retrain,
      pauseMs: 10_800_000,
    });
    expect(() => yamlReader(PIPELINE)(`${yaml}retrain: { pause: 3h }\n`, "p.yaml")).toThrow(/line 8: .*pause/);
    const page = Object.keys(CHAPTERS)
      .map((chapter) => `<!-- keys: ${chapter} -->\nstale\n<!-- keys end -->\n`)
      .join("\n");
    const chapters = { ...CHAPTERS, "Shadow, drift, retraining": { retrain: more.fields.retrain } };
    expect(withKeyTables(page, chapters)).toContain("| `retrain.pause` | `2h` | duration | Planted. |");
    expect(withKeyTables(page, chapters)).not.toContain("stale");
  });

  test("every schema that files are read by is one by the schema of schemas", () => {
    const ajv = new Ajv2020();
    for (const { schema } of [PIPELINE, RULES_FILE, NOTIFICATIONS_FILE, planted])
      expect(ajv.validateSchema(schema), ajv.errorsText()).toBe(true);
    expect(ajv.validateSchema({ type: "durations" })).toBe(false);
  });

  test("a page that lacks a chapter, or has one too many, is refused", () => {
    expect(() => withKeyTables("", { Model: { planted } })).toThrow(/no table for Model/);
    expect(() => withKeyTables("<!-- keys: Old -->\n<!-- keys end -->", {})).toThrow(/Old, which is no chapter/);
  });

  test("every section of the pipeline is in a chapter of the documents", () => {
    expect(Object.values(CHAPTERS).flatMap((fields) => Object.keys(fields))).toEqual(Object.keys(PIPELINE.fields));
  });
});

test("values have types, and names in camel case with the unit of their kind", () => {
  expectTypeOf<ValueOf<typeof planted.fields>>().toHaveProperty("gracePeriodMs").toEqualTypeOf<number>();
  expectTypeOf<ValueOf<typeof planted.fields>>().toHaveProperty("cacheBytes").toEqualTypeOf<number>();
  expectTypeOf<ValueOf<typeof planted.fields>>().toHaveProperty("running").toEqualTypeOf<boolean>();
  expectTypeOf<ValueOf<typeof planted.fields>>().toHaveProperty("weight").toEqualTypeOf<number | undefined>();
  expectTypeOf<ValueOf<typeof planted.fields>["time"]>().toEqualTypeOf<string | ValueOf<typeof clock.fields>>();
  expectTypeOf<ValueOf<typeof planted.fields>["limits"]>().toEqualTypeOf<{ readonly rowsMax: number }>();
  const value = defaultsOf(planted);
  expect(value).toEqual({
    gracePeriodMs: 300_000,
    cacheBytes: 65_536,
    time: "time",
    running: true,
    words: {},
    range: [0, 0.5],
    strict: false,
    streams: [],
    limits: { rowsMax: 3 },
  });
  expect("weight" in value).toBe(false);
  expect(rangesOf(planted)).toMatchObject({ weight: { above: 0, to: 1e6 } });
});

test("a text or a section, and sections in a list, are read as what they are", () => {
  expect(plantedOf("planted: { time: step }\n").time).toBe("step");
  expect(plantedOf("planted: { time: { column: step } }\n").time).toEqual({ column: "step", unit: "s" });
  expect(plantedOf("planted: { streams: [{ topic: a }, { topic: b }] }\n").streams).toEqual([
    { topic: "a" },
    { topic: "b" },
  ]);
  expect(keyTable({ planted })).toContain("| `planted.time.unit` | `s` | `s` or `ms` | What one step of it is. |");
  expect(keyTable({ planted })).toContain("| `planted.streams[].topic` |");
});

test("words that would end a cell of the table are escaped", () => {
  expect(keyTable({ planted })).toContain("Kept in memory \\| on disk.");
});

test.each([
  ["planted:\n  grace_period: 2h\n", /line 2: planted\.grace_period: 2h is over 1h/],
  ["planted:\n  grace_period: 1ms\n", /line 2: planted\.grace_period: 1ms is under 1s/],
  ["planted:\n  cache: 1B\n", /line 2: planted\.cache: 1B is no whole number of bytes from 1KiB to 1GiB/],
  ["planted:\n  cache: 3 apples\n", /line 2: planted\.cache: "3 apples" is no size such as 64KiB or 1MB/],
  ["planted:\n  time:\n    unit: s\n", /line 3: planted\.time must have required property 'column'$/],
  ["planted:\n  time: { column: a,\n    unit: y }\n", /line 3: planted\.time\.unit must be .*\(s, ms\)$/],
  ["planted:\n  time: 7\n", /line 2: planted\.time must be text or keys of its own$/],
  ["planted:\n  words: { a: [b, B] }\n", /line 2: planted\.words\.a\.1 must match pattern/],
  ["planted:\n  words: { a: [] }\n", /line 2: planted\.words\.a must NOT have fewer than 1 items/],
  [
    "planted:\n  streams:\n    - { topic: a }\n    - {}\n",
    /line 4: planted\.streams\.1 must have required property 'topic'/,
  ],
  ["planted:\n  limits:\n    rows_max: 11\n", /line 3: planted\.limits\.rows_max must be <= 10/],
  ["planted:\n  weight: 0\n", /line 2: planted\.weight must be > 0/],
])("%j is refused by its line", (yaml, says) => {
  expect(() => plantedOf(yaml)).toThrow(says);
});

test("what does not go together is refused at the key that is written, else at its section", () => {
  const outer = section({
    planted: section(planted.fields, { settle: (_, { refuse }) => refuse("range", "never", "no hint") }),
  });
  expect(() => yamlReader(outer)("planted:\n  strict: true\n  range: [0, 1]\n", "p.yaml")).toThrow(
    "p.yaml: line 3: planted: never",
  );
  expect(() => yamlReader(outer)("planted:\n  strict: true\n", "p.yaml")).toThrow("p.yaml: line 2: planted: never");
});
