// The file NAME.rules.yaml: rules, lists and areas as code, each key once.
import { areaFault, isLatitude, isLongitude } from "../core/place.ts";
import {
  LIST_NAME_PATTERN,
  LIST_VALUE_LENGTH_MAX,
  LISTS_MAX,
  RULE_ACTIONS,
  RULE_ID_PATTERN,
  RULE_LENGTH_MAX,
  RULE_SEVERITIES,
  RULE_STAGES,
  RULES_MAX,
} from "../core/rule.ts";
import { parseIso } from "../core/time.ts";
import { either, type Kind, list, oneOf, record, share, textLike } from "./kind.ts";
import { key, section, type ValueOf } from "./section.ts";
import { type ReadYaml, yamlReader } from "./yaml.ts";

/** Ten thousand rules of two hundred characters. */
const RULES_BYTES_MAX = 4_194_304;
/** Values of one list in the file; longer ones are imported with `sentinel lists import`. */
const VALUES_MAX = 10_000;
const AREAS_MAX = 1000;
const CORNERS_MAX = 1000;
const WORDS_LENGTH_MAX = 1000;

function words(lengthMax: number, means: string): Kind<string, string, ""> {
  return { schema: { type: "string", maxLength: lengthMax }, words: means, suffix: "", read: (written) => written };
}

const RULE = section({
  id: key(textLike(RULE_ID_PATTERN, "a name of letters, digits, `_`, `.`, `-`"), {
    required: true,
    means: "Names the rule for ever, in answers, logs and reports.",
  }),
  when: key(words(RULE_LENGTH_MAX, "SQL condition"), {
    required: true,
    means: "The condition; the rule fires where it is TRUE. [The language](#the-language) says what may stand in it.",
  }),
  action: key(oneOf(...RULE_ACTIONS), {
    default: "review",
    means: "What happens where it fires. `tag` decides nothing: its hits stand in answers and logs.",
  }),
  severity: key(oneOf(...RULE_SEVERITIES), {
    default: "warning",
    means: "How urgent a hit is to an analyst: `critical` and `warning` raise alerts, `info` does not.",
  }),
  description: key(words(WORDS_LENGTH_MAX, "text"), {
    default: "",
    means: "What an analyst should read beside a hit.",
  }),
  stage: key(oneOf(...RULE_STAGES), {
    default: "draft",
    means:
      "`draft` does nothing; `shadow` logs hits and decides nothing; `rollout` decides for a share of the entities; `live` decides; `off` does nothing.",
  }),
  share: key(share, {
    default: 0.1,
    means:
      "Of the entities (`columns.card`, else transactions), in stage `rollout`. Who is in at a share stays in at every larger one.",
  }),
  owner: key(words(200, "text"), { default: "", means: "Who answers for the rule." }),
});

const VALUE: Kind<string | number, string, ""> = {
  schema: { type: ["string", "integer"], minLength: 1, maxLength: LIST_VALUE_LENGTH_MAX },
  words: "text or whole number",
  suffix: "",
  read: String,
};

/** An instant as it is written in YAML; milliseconds after. */
const INSTANT: Kind<string, number, ""> = {
  schema: { type: "string", maxLength: 64 },
  words: "time such as `2026-01-31T12:00:00Z`",
  suffix: "",
  read(written, at) {
    const time = parseIso(written);
    if (Number.isFinite(time)) return time;
    const what = `${at.path.join(".")}: ${written} is no time`;
    return at.refuse(at.path, { what, hint: "write it as 2026-01-31 or 2026-01-31T12:00:00Z" });
  },
};

const ENTRY = section({
  value: key(VALUE, { required: true, means: "The value." }),
  from: key(INSTANT, { means: "On the list from then on, by event time; when it is applied, where nothing is said." }),
  to: key(INSTANT, { means: "Until then; for ever, where nothing is said." }),
  reason: key(words(WORDS_LENGTH_MAX, "text"), { default: "", means: "Why it is there." }),
});

const CORNER: Kind<readonly number[], readonly [number, number], ""> = {
  schema: { type: "array", items: { type: "number" }, minItems: 2, maxItems: 2 },
  words: "[latitude, longitude]",
  suffix: "",
  read([lat, lon], at) {
    if (isLatitude(lat) && isLongitude(lon)) return [lat, lon];
    const what = `${at.path.join(".")}: [${lat}, ${lon}] is no place`;
    return at.refuse(at.path, { what, hint: "write [latitude, longitude] in degrees: -90 to 90, -180 to 180" });
  },
};

const CORNERS = list(CORNER, { from: 3, to: CORNERS_MAX });
const AREA: typeof CORNERS = {
  ...CORNERS,
  read(written, at) {
    const area = CORNERS.read(written, at);
    const wrong = areaFault(area);
    if (wrong === null) return area;
    return at.refuse(at.path, { what: `${at.path.join(".")}: ${wrong.what}`, hint: wrong.hint });
  },
};

/** A record with names of a form. */
function named<Written, Value>(
  inner: Kind<Written, Value>,
  most: number,
): Kind<Readonly<Record<string, Written>>, Readonly<Record<string, Value>>, ""> {
  const kind = record(inner);
  const names = { propertyNames: { pattern: LIST_NAME_PATTERN }, maxProperties: most };
  return { ...kind, schema: { ...kind.schema, ...names } };
}

export const RULES_FILE = section({
  rules: key(list(RULE, { to: RULES_MAX }), { default: [], means: "The rules." }),
  lists: key(named(list(either(VALUE, ENTRY), { to: VALUES_MAX }), LISTS_MAX), {
    default: {},
    means:
      "Lists kept in this file, name → values; an entry leaves its list when it leaves the file. Other lists are kept with `sentinel lists`.",
  }),
  areas: key(named(AREA, AREAS_MAX), {
    default: {},
    means:
      "Areas for `inside(lat, lon, 'name')`: their corners in order around. No edge spans more than 180 degrees of longitude.",
  }),
});

export type RulesFile = ValueOf<typeof RULES_FILE.fields>;

/** An entry of a list in the file; `from` is undefined where the time of applying counts. */
export interface FileEntry {
  readonly value: string;
  readonly from?: number;
  readonly to?: number;
  readonly reason: string;
}

const read = yamlReader(RULES_FILE, { bytesMax: RULES_BYTES_MAX, example: "docs/rules.md", spelled: "lists" });

/** The rules, lists and areas of a text. Errors: pipeline.invalid, with the line. */
export function parseRulesFile(text: string, file: string): ReadYaml<typeof RULES_FILE.fields> {
  return read(text, file);
}

/** A list's entries, whichever way they are written. */
export function entriesOf(values: RulesFile["lists"][string]): readonly FileEntry[] {
  return values.map((one) => (typeof one === "string" ? { value: one, reason: "" } : one));
}
