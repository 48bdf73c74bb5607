// Which library's file this is, told from its beginning; and what to say of a file that none of the readers takes.
import { SentinelError } from "../../core/errors.ts";

export const FOREIGN_FORMATS = ["onnx", "xgboost", "lightgbm"] as const;
export type ForeignFormat = (typeof FOREIGN_FORMATS)[number];

/** What readers look for, in the words of the message. */
const MARKS: Readonly<Record<ForeignFormat, string>> = {
  xgboost: "XGBoost's JSON or UBJSON (begins with a brace)",
  lightgbm: 'LightGBM\'s text (begins with the line "tree")',
  onnx: "an ONNX graph (protobuf, without a mark of its own)",
};

/** Files that people give by mistake, by their beginning as Latin-1, and what to save instead. */
const OTHERS: readonly (readonly [beginnings: readonly string[], what: string, instead: string])[] = [
  [
    ["\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05"],
    "a Python pickle (or joblib)",
    "pickles are not read, as they run code: save it with save_model, or as ONNX (skl2onnx)",
  ],
  [["CBM1"], "CatBoost's own format", 'save it with save_model(…, format="onnx")'],
  [["PK\x03\x04", "\x1f\x8b"], "an archive", "unpack it, and give the file of the model in it"],
  [["\x89HDF"], "an HDF5 file (Keras)", "export it as ONNX (tf2onnx)"],
  [["<?xml", "\xef\xbb\xbf<?xml"], "XML (PMML?)", "export it as ONNX"],
  [["PAR1", "ARROW1"], "a table", "give the file of a model; tables go with --data"],
  [["binf"], "XGBoost's old binary format", 'save it with save_model("model.json") or "model.ubj"'],
];

/** JSON and UBJSON begin with a brace, LightGBM's text with the line "tree"; protobuf has no mark of its own. */
export function formatOf(bytes: Uint8Array): ForeignFormat {
  const start = beginning(bytes).trimStart();
  if (start.startsWith("{")) return "xgboost";
  if (/^tree\r?\n/.test(start)) return "lightgbm";
  return "onnx";
}

/** After the brace UBJSON has the type of a name's length, JSON a quote or white space. */
export function isUbjson(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7b && "iUIlL$#".includes(String.fromCharCode(bytes[1] ?? 0));
}

/** `ml.model-invalid` of a file whose format nobody named: what was looked for, what its reader met, and what to do. */
export function unknownFormat(bytes: Uint8Array, told: ForeignFormat, cause: SentinelError): SentinelError {
  const start = beginning(bytes);
  if (bytes.length === 0) {
    return new SentinelError("ml.model-invalid", "the file is empty", { hint: "save the model again", cause });
  }
  const other = OTHERS.find(([beginnings]) => beginnings.some((mark) => start.startsWith(mark)));
  if (other !== undefined) {
    const [, what, instead] = other;
    const message = `the file is ${what}, not ${FOREIGN_FORMATS.map((name) => MARKS[name]).join(", nor ")}`;
    return new SentinelError("ml.model-invalid", message, { hint: instead, cause });
  }
  if (told !== "onnx") {
    return new SentinelError("ml.model-invalid", `${cause.message} (taken for ${MARKS[told]})`, {
      hint: `${cause.hint}; if it is of another format, name it: --format ${FOREIGN_FORMATS.join(" | ")}`,
      cause,
    });
  }
  const looked = `it is neither ${MARKS.xgboost} nor ${MARKS.lightgbm}, and read as ${MARKS.onnx} it fails`;
  return new SentinelError("ml.model-invalid", `the format of the file cannot be told: ${looked}: ${cause.message}`, {
    hint: `name the format to have it read as that alone: --format ${FOREIGN_FORMATS.join(" | ")}; a model saved by save_model or as .onnx is told by itself`,
    cause,
  });
}

function beginning(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 64)).toString("latin1");
}
