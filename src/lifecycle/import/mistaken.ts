// Files that people give by mistake: each known by its bytes, and what to give instead.
import { type ErrorCode, SentinelError } from "../../core/errors.ts";

/** What a file is, and what to save instead. */
interface Mistake {
  readonly what: string;
  readonly instead: string;
}

const PICKLE: Mistake = {
  what: "a Python pickle (or joblib)",
  instead:
    "pickles are not read, as they run code: load it in Python and save the booster with save_model (model.get_booster().save_model, model.booster_.save_model), or convert it to ONNX (skl2onnx)",
};
const XGBOOST_DUMP: Mistake = {
  what: "a dump of XGBoost (dump_model or get_dump), which leaves out what predictions need",
  instead: 'save the model itself: booster.save_model("model.json") or "model.ubj"',
};
const LIGHTGBM_DUMP: Mistake = {
  what: "a dump of LightGBM (dump_model), a description of the model",
  instead: 'save the model itself: booster.save_model("model.txt"), of a classifier booster_.save_model',
};
const COMPRESSED: Mistake = {
  what: "a compressed file (a joblib, an R .rds or an archive)",
  instead:
    "unpack it, and give the file of the model in it; a pickle or joblib is not read: save the booster with save_model, or as ONNX",
};

/** By the first bytes, as Latin-1 without leading white space. */
const BEGINNINGS: readonly (readonly [marks: readonly string[], mistake: Mistake])[] = [
  [
    ["\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05", "(dp", "(lp", "ccopy_reg", "c__builtin__", "cnumpy", "ZF0x"],
    PICKLE,
  ],
  [
    ["CBM1"],
    { what: "CatBoost's own format", instead: 'save it as JSON: model.save_model("model.json", format="json")' },
  ],
  [
    [
      "\x1f\x8b",
      "BZh",
      "\xfd7zXZ",
      "\x04\x22\x4d\x18",
      "x\x9c",
      "x\x01",
      "x\xda",
      "x^",
      "\x28\xb5\x2f\xfd",
      "RDX",
      "7z\xbc\xaf",
    ],
    COMPRESSED,
  ],
  [["\x89HDF"], { what: "an HDF5 file (Keras)", instead: "export it as ONNX (tf2onnx)" }],
  [["<?xml", "\xef\xbb\xbf<?xml", "<PMML"], { what: "XML (PMML?)", instead: "export it as ONNX" }],
  [["PAR1", "ARROW1"], { what: "a table", instead: "give the file of a model; tables go with --data" }],
  [["binf"], { what: "XGBoost's old binary format", instead: 'save it with save_model("model.json") or "model.ubj"' }],
  [["\x7fELF", "MZ"], { what: "a compiled library", instead: "give the model's own file, from which it was compiled" }],
  [["booster["], XGBOOST_DUMP],
  [["digraph"], { what: "a drawing of trees", instead: "give the model's own file: save_model" }],
  [
    ["Tree,Node,ID,Feature", ",Tree,Node,ID", "tree_index,node_depth", ",tree_index,node_depth"],
    { what: "a table of trees (trees_to_dataframe)", instead: "save the model itself with save_model" },
  ],
  [
    ["artifact_path:", "flavors:"],
    {
      what: "MLflow's description of a model",
      instead: "give the file of the model beside it: model.ubj, model.xgb, model.lgb, model.txt or model.onnx",
    },
  ],
  [
    ["\x08\x01\x12"],
    {
      what: "a TensorFlow SavedModel",
      instead: "export it as ONNX: python -m tf2onnx.convert --saved-model DIR --output model.onnx",
    },
  ],
  // A struct of parameters, of which base_score 0.5 comes first.
  [
    ["\x00\x00\x00\x3f"],
    { what: "XGBoost's old binary format", instead: 'save it with save_model("model.json") or "model.ubj"' },
  ],
];

/** By four bytes at the fifth place. */
const FIFTH: Readonly<Record<string, Mistake>> = {
  TFL3: { what: "a TensorFlow Lite model", instead: "export the model as ONNX (tf2onnx)" },
  ORTM: { what: "a model in ONNX Runtime's own format", instead: "give the .onnx file that it was converted from" },
};

/** Archives by a name that is in them. */
const ARCHIVES: readonly (readonly [entry: string, mistake: Mistake])[] = [
  [
    "schema.json",
    {
      what: "a skops archive",
      instead:
        "load it in Python and save what it holds: of XGBoost or LightGBM log the booster (save_model), of scikit-learn the ONNX of skl2onnx",
    },
  ],
  ["data.pkl", { what: "a PyTorch file", instead: "export the module with torch.onnx.export" }],
  [
    "model.weights.h5",
    { what: "a Keras archive", instead: "export it as ONNX (tf2onnx, or model.export with format onnx)" },
  ],
  [
    "model.ini",
    { what: "an H2O MOJO", instead: "train with XGBoost, LightGBM or CatBoost, or export the model as ONNX" },
  ],
  [".npy", { what: "an archive of NumPy arrays", instead: "give the file of a model: save_model, or ONNX" }],
];
/** Names stand at the end of an archive, in its directory, and before each file's content. */
const ARCHIVE_BYTES = 65_536;

/** `ml.model-invalid` that names the file, or null where it is none of these. */
export function mistakenFile(bytes: Uint8Array): SentinelError | null {
  const start = latin1(bytes.subarray(0, 64));
  const text = start.trimStart();
  const archive = start.startsWith("PK\x03\x04") ? archiveOf(bytes) : null;
  const found =
    archive ??
    FIFTH[start.slice(4, 8)] ??
    BEGINNINGS.find(([marks]) => marks.some((mark) => text.startsWith(mark)))?.[1] ??
    null;
  return found === null ? null : refused(found, "ml.model-invalid");
}

/** `ml.model-unsupported` that names what a parsed document is, or null where it is none of these. */
export function mistakenDocument(document: unknown): SentinelError | null {
  if (Array.isArray(document)) {
    const [first] = document as readonly unknown[];
    const isTree =
      has(first, "nodeid") || has(first, "leaf") || (typeof first === "string" && /leaf|nodeid/.test(first));
    return isTree ? refused(XGBOOST_DUMP) : null;
  }
  if (has(document, "tree_info") && !has(document, "learner")) return refused(LIGHTGBM_DUMP);
  if (has(document, "learner") && has(document.learner, "gradient_booster")) {
    const booster = document.learner.gradient_booster;
    if (has(booster, "gbtree_train_param") || has(booster, "tree_train_param")) {
      return refused({
        what: "a configuration of XGBoost (save_config), without its trees",
        instead: 'save the model itself: booster.save_model("model.json")',
      });
    }
  }
  if (has(document, "modelTopology") || has(document, "class_name")) {
    return refused({
      what: "the architecture of a Keras model, without its weights",
      instead: "export it as ONNX (tf2onnx)",
    });
  }
  return null;
}

function archiveOf(bytes: Uint8Array): Mistake {
  const names =
    latin1(bytes.subarray(0, ARCHIVE_BYTES)) + latin1(bytes.subarray(Math.max(0, bytes.length - ARCHIVE_BYTES)));
  const known = ARCHIVES.find(([entry]) => names.includes(entry))?.[1];
  return known ?? { what: "an archive", instead: "unpack it, and give the file of the model in it" };
}

function refused({ what, instead }: Mistake, code: ErrorCode = "ml.model-unsupported"): SentinelError {
  return new SentinelError(
    code,
    `the file is ${what}, not a model of XGBoost (JSON or UBJSON), LightGBM (text), CatBoost (JSON) or ONNX`,
    { hint: instead },
  );
}

function has<K extends string>(value: unknown, key: K): value is Readonly<Record<K, unknown>> {
  return value !== null && typeof value === "object" && Object.hasOwn(value, key);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
