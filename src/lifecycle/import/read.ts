// A foreign model's file: read whole within a limit, parsed by that format's reader.
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { readCatboost } from "../../ml/foreign/catboost.ts";
import { type ForeignTrees, invalidModel } from "../../ml/foreign/flatten.ts";
import { parseModelJson } from "../../ml/foreign/json.ts";
import { readLightgbm } from "../../ml/foreign/lightgbm.ts";
import { endsOf, type OnnxEnds } from "../../ml/foreign/onnx/ends.ts";
import { isBlindToMissing, knowsMissing } from "../../ml/foreign/onnx/labels.ts";
import { type OnnxModel, readOnnx } from "../../ml/foreign/onnx/model.ts";
import { parseUbjson } from "../../ml/foreign/ubjson.ts";
import { readXgboost } from "../../ml/foreign/xgboost.ts";
import { type ForeignFormat, formatOf, isUbjson, unknownFormat } from "./format.ts";
import { mistakenDocument, mistakenFile } from "./mistaken.ts";

export interface ForeignFile {
  readonly format: ForeignFormat;
  /** Its name without the folder. */
  readonly file: string;
  readonly sha256: string;
  readonly model: ForeignTrees | ForeignOnnx;
}

/** An ONNX model with its ends found. */
export interface ForeignOnnx {
  readonly onnx: OnnxModel;
  readonly ends: OnnxEnds;
  readonly names: readonly string[] | null;
  /** null where the graph leaves it open. */
  readonly width: number | null;
  readonly title: string;
  readonly notes: readonly string[];
  /** The graph itself says what becomes of a missing value. */
  readonly knowsMissing: boolean;
  /** Its trees say nothing about missing values, though scikit-learn's may have learned where they go. */
  readonly isBlindToMissing: boolean;
}

interface ReadOptions {
  readonly format?: ForeignFormat;
  /** Of boosting, "all" of them also where the file names a best one; an ONNX model has none. */
  readonly rounds?: number | "all";
  /** Of an ONNX graph: the output with the probability. */
  readonly output?: string;
  /** Of an ONNX graph: the output is log-odds. */
  readonly isMargin?: boolean;
  /** The label of fraud. */
  readonly fraudClass?: string;
}

/** A model of the largest size imported is well below; a parsed JSON takes several times as much memory. */
export const FILE_BYTES_MAX = 512 * 2 ** 20;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`, `cli.usage` where there is no such file or an option does not go with it. */
export function readForeign(file: string, options: ReadOptions): ForeignFile {
  return readForeignBytes(bytesOf(file), file, options);
}

/** A model from its bytes; `file` is its name. */
export function readForeignBytes(bytes: Uint8Array, file: string, options: ReadOptions): ForeignFile {
  const mistaken = mistakenFile(bytes);
  if (mistaken !== null) throw mistaken;
  const format = options.format ?? formatOf(bytes);
  checkOptions(format, options);
  return {
    format,
    file: path.basename(file),
    sha256: sha256(bytes),
    model: options.format === undefined ? guessed(bytes, format, options) : parse(bytes, { ...options, format }),
  };
}

/** What does not mean anything for this format is refused: whoever asks for three rounds must not get all of them. */
function checkOptions(format: ForeignFormat, { rounds, output, isMargin = false }: ReadOptions): void {
  const stray =
    format === "onnx"
      ? [rounds === undefined ? [] : ["--rounds"]]
      : [output === undefined ? [] : ["--output"], isMargin ? ["--margin"] : []];
  const names = stray.flat();
  if (names.length === 0) return;
  const why = format === "onnx" ? "an ONNX model has no rounds to choose from" : "only an ONNX graph has outputs";
  throw new SentinelError("cli.usage", `${names.join(" and ")} cannot go with a file of the format ${format}: ${why}`, {
    hint: `leave ${names.join(" and ")} out, or name the format with --format if the file is of another`,
  });
}

/** A format that was recognised by the file's beginning alone may be wrong: then the fault must not speak of that format only. */
function guessed(bytes: Uint8Array, format: ForeignFormat, options: ReadOptions): ForeignFile["model"] {
  try {
    return parse(bytes, { ...options, format });
  } catch (error) {
    if (error instanceof SentinelError && error.code === "ml.model-invalid") throw unknownFormat(bytes, format, error);
    throw error;
  }
}

function bytesOf(file: string): Uint8Array {
  try {
    const { size } = statSync(file);
    if (size > FILE_BYTES_MAX) {
      throw new SentinelError("ml.model-unsupported", `${file} has ${size} bytes`, {
        hint: `models of up to ${FILE_BYTES_MAX / 2 ** 20} MB are imported: train a smaller one`,
      });
    }
    return readFileSync(file);
  } catch (error) {
    if (error instanceof SentinelError) throw error;
    throw new SentinelError("cli.usage", `${file} cannot be read: ${messageOf(error)}`, {
      hint: `give the file of a model: ${modelFilesIn(file) ?? "model.onnx, model.json, model.ubj or model.txt"}`,
    });
  }
}

/** Where a folder was given, such as MLflow's of a model: the files in it that may be one. */
function modelFilesIn(folder: string): string | null {
  try {
    const names = readdirSync(folder).filter((name) => MODEL_FILE.test(name));
    return names.length === 0
      ? null
      : names
          .slice(0, FILES_SHOWN)
          .map((name) => path.join(folder, name))
          .join(", ");
  } catch {
    return null;
  }
}

const MODEL_FILE = /\.(?:onnx|json|ubj|xgb|lgb|txt|cb|cbm)$/;
const FILES_SHOWN = 5;

function parse(bytes: Uint8Array, given: ReadOptions & { readonly format: ForeignFormat }): ForeignFile["model"] {
  const { format, rounds } = given;
  const counted = rounds === "all" ? undefined : rounds;
  switch (format) {
    case "xgboost":
      return readXgboost(isUbjson(bytes) ? parseUbjson(bytes) : parseJson(bytes), { rounds });
    case "catboost":
      return readCatboost(parseJson(bytes), { rounds: counted });
    case "lightgbm":
      return readLightgbm(new TextDecoder().decode(bytes), { rounds: counted });
    case "onnx":
      return onnxOf(bytes, given);
  }
}

function onnxOf(bytes: Uint8Array, { output, fraudClass }: ReadOptions): ForeignOnnx {
  const onnx = readOnnx(bytes);
  const ends = endsOf(onnx, { output, fraudClass });
  const { names, width, notes } = ends;
  const title = `ONNX${onnx.producer === "" ? "" : ` of ${onnx.producer}`}`;
  const missing = { knowsMissing: knowsMissing(onnx), isBlindToMissing: isBlindToMissing(onnx) };
  return { onnx, ends, names, width, title, notes, ...missing };
}

/** Errors: `ml.model-invalid`; `ml.model-unsupported` of a document that is known and no model. */
function parseJson(bytes: Uint8Array): unknown {
  let document: unknown;
  try {
    document = parseModelJson(new TextDecoder().decode(bytes));
  } catch (error) {
    throw invalidModel(`it is no JSON: ${messageOf(error)}`, error);
  }
  const mistaken = mistakenDocument(document);
  if (mistaken !== null) throw mistaken;
  return document;
}
