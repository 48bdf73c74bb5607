// Which library's file this is, told from its beginning; and what to say of a file that none of the readers takes.
import { SentinelError } from "../../core/errors.ts";

export const FOREIGN_FORMATS = ["onnx", "xgboost", "lightgbm", "catboost"] as const;
export type ForeignFormat = (typeof FOREIGN_FORMATS)[number];

/** What readers look for, in the words of the message. */
const MARKS: Readonly<Record<ForeignFormat, string>> = {
  xgboost: "XGBoost's JSON or UBJSON (begins with a brace)",
  lightgbm: 'LightGBM\'s text (begins with the line "tree")',
  catboost: 'CatBoost\'s JSON (begins with a brace, and has "features_info")',
  onnx: "an ONNX graph (protobuf, without a mark of its own)",
};

/** First keys of CatBoost's document, which writes them by the alphabet. */
const CATBOOST = /^\{\s*"(?:ctr_data|features_info|model_info|oblivious_trees|scale_and_bias)"/;

/** JSON and UBJSON begin with a brace (a dump with a bracket), LightGBM's text with the line "tree"; protobuf has no mark of its own. */
export function formatOf(bytes: Uint8Array): ForeignFormat {
  const start = beginning(bytes).trimStart();
  if (CATBOOST.test(start)) return "catboost";
  if (/^(?:\{|\[\s*[{"\]])/.test(start)) return "xgboost";
  if (/^tree\r?\n/.test(start)) return "lightgbm";
  return "onnx";
}

/** After the brace UBJSON has the type of a name's length, JSON a quote or white space. */
export function isUbjson(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7b && "iUIlL$#".includes(String.fromCharCode(bytes[1] ?? 0));
}

/** `ml.model-invalid` of a file whose format nobody named: what was looked for, what its reader met, and what to do. */
export function unknownFormat(bytes: Uint8Array, guess: ForeignFormat, cause: SentinelError): SentinelError {
  if (bytes.length === 0) {
    return new SentinelError("ml.model-invalid", "the file is empty", { hint: "save the model again", cause });
  }
  const names = FOREIGN_FORMATS.join(" | ");
  if (guess !== "onnx") {
    return new SentinelError("ml.model-invalid", `${cause.message} (taken for ${MARKS[guess]})`, {
      hint: `${cause.hint}; if it is of another format, name it: --format ${names}`,
      cause,
    });
  }
  const looked = `it is neither ${MARKS.xgboost} nor ${MARKS.lightgbm} nor ${MARKS.catboost}, and read as ${MARKS.onnx} it fails`;
  return new SentinelError("ml.model-invalid", `the format of the file cannot be told: ${looked}: ${cause.message}`, {
    hint: `name the format to have it read as that alone: --format ${names}; a model saved by save_model or as .onnx is told by itself`,
    cause,
  });
}

function beginning(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 64)).toString("latin1");
}
