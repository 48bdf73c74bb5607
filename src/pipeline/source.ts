// The keys at the top of a pipeline file: what it is called, and which files belong to it.
import { either, list, text, textLike } from "./kind.ts";
import { key } from "./section.ts";

/** The name of no model. */
const NO_MODEL = "none";

/** Whether a model answers; else rules alone decide. */
export function hasModel(pipeline: { readonly model: string }): boolean {
  return pipeline.model !== NO_MODEL;
}

/** More are a folder's matter. */
const SOURCES_MAX = 1000;

export const SOURCE = {
  name: key(textLike("^[\\w-]{1,100}$", "letters, digits, `_`, `-`"), {
    required: true,
    means: "The pipeline's name, like its file's, which counts; used for its files under `models/`.",
  }),
  model: key(textLike("^[\\w.-]{1,100}$", "letters, digits, `_`, `-`, `.`"), {
    required: true,
    means: "The registered model's name; `none`: there is none, and rules alone decide ([Rules](rules.md)).",
  }),
  source: key(either(text, list(text, { from: 1, to: SOURCES_MAX })), {
    required: true,
    means:
      "The table that `validate` and `train` read unless `--data` names another, and that the server warms its windows from: a file, a folder, a pattern with `*`, or a list of these ([Tables](tables.md#files)). Relative to the workspace.",
  }),
  features: key(textLike("^[\\w-]+(#[A-Za-z_$][\\w$]*)?$", "name, or `file#name`"), {
    required: true,
    means: "`card` means `export const card` in `features/card.ts`; `file#name` means another export.",
  }),
  schema: key(text, {
    required: true,
    means: "JSON Schema 2020-12 of one transaction, beside the pipeline file.",
  }),
  suite: key(text, {
    required: true,
    means: "Great Expectations suite (GX Core JSON), beside the pipeline file.",
  }),
};
