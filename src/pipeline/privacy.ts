// Section `privacy`: which columns say who somebody is.
import { Mask, type MaskOptions } from "../core/mask.ts";
import { list, type Place, text } from "./kind.ts";
import { nameFolder } from "./names.ts";
import { key, section, type ValueOf } from "./section.ts";

/** Columns of one pipeline that are named; more are a table about persons. */
const PERSONAL_MAX = 200;

export const PRIVACY = section({
  personal: key(list(text, { to: PERSONAL_MAX }), {
    default: [],
    means:
      "Columns that say who somebody is, by any of their names. `sentinel forget` empties them in a person's records; viewers, receivers of notifications and the server's log see `***` in their place. See [data protection](data-protection.md).",
  }),
});

type Privacy = ValueOf<typeof PRIVACY.fields>;

/** With canonical names. The id and the time of a transaction are needed by everything that is kept of it, so they are refused. */
export function canonicalPrivacy(
  privacy: Privacy,
  on: {
    readonly columns: { readonly id: string; readonly time: string };
    readonly canonical: ReadonlyMap<string, string>;
    readonly refuse: Place["refuse"];
  },
): Privacy {
  const personal = privacy.personal.map(nameFolder(on.canonical));
  for (const role of ["id", "time"] as const) {
    const place = personal.indexOf(on.columns[role]);
    if (place < 0) continue;
    on.refuse(["privacy", "personal", place], {
      what: `privacy.personal: ${on.columns[role]} is the ${role} of a transaction, by which log, archive and labels find it`,
      hint: "take it out; where ids say who somebody is, let clients send ids that do not",
    });
  }
  return { personal: [...new Set(personal)] };
}

/** All names under which columns of a pipeline come, their canonical ones first. */
export function spellingsOf(
  { canonical }: { readonly canonical: ReadonlyMap<string, string> },
  columns: readonly string[],
): readonly string[] {
  return [...columns, ...[...canonical].filter(([, column]) => columns.includes(column)).map(([name]) => name)];
}

/** All names of a pipeline's personal columns. */
export function personalNames(pipeline: {
  readonly privacy: Privacy;
  readonly canonical: ReadonlyMap<string, string>;
}): readonly string[] {
  return spellingsOf(pipeline, pipeline.privacy.personal);
}

/** What hides the personal columns of pipelines, by all of their names; `unknown`: where others are that nobody can read. An alert's entity is the value of the card's column. */
export function personalMask(
  pipelines: readonly {
    readonly privacy: Privacy;
    readonly canonical: ReadonlyMap<string, string>;
    readonly columns: { readonly card: string | null };
  }[],
  unknown: Pick<MaskOptions, "readable"> = {},
): Mask {
  const names = pipelines.flatMap(personalNames);
  const entity = pipelines.some(
    ({ privacy, columns }) => columns.card !== null && privacy.personal.includes(columns.card),
  );
  return new Mask({ names, entity, ...unknown });
}
