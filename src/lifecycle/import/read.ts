// A foreign model's file: read whole within a limit, parsed by that format's reader.
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { type ForeignTrees, invalidModel } from "../../ml/foreign/flatten.ts";
import { readLightgbm } from "../../ml/foreign/lightgbm.ts";
import { endsOf, type OnnxEnds } from "../../ml/foreign/onnx/ends.ts";
import { type OnnxModel, readOnnx } from "../../ml/foreign/onnx/model.ts";
import { parseUbjson } from "../../ml/foreign/ubjson.ts";
import { readXgboost } from "../../ml/foreign/xgboost.ts";
import { type ForeignFormat, formatOf, isUbjson, unknownFormat } from "./format.ts";

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
}

interface ReadOptions {
  readonly format?: ForeignFormat;
  /** Of boosting; an ONNX model has none. */
  readonly rounds?: number;
  /** Of an ONNX graph: the output with the probability. */
  readonly output?: string;
  /** Of an ONNX graph: the output is log-odds. */
  readonly isMargin?: boolean;
}

/** A model of the largest size imported is well below; a parsed JSON takes several times as much memory. */
const FILE_BYTES_MAX = 512 * 2 ** 20;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`, `cli.usage` where there is no such file or an option does not go with it. */
export function readForeign(file: string, options: ReadOptions): ForeignFile {
  const bytes = bytesOf(file);
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
      hint: "give the file of a model: model.onnx, model.json, model.ubj or model.txt",
    });
  }
}

function parse(bytes: Uint8Array, given: ReadOptions & { readonly format: ForeignFormat }): ForeignFile["model"] {
  const { format, rounds } = given;
  switch (format) {
    case "xgboost":
      return readXgboost(isUbjson(bytes) ? parseUbjson(bytes) : parseJson(bytes), { rounds });
    case "lightgbm":
      return readLightgbm(new TextDecoder().decode(bytes), { rounds });
    case "onnx":
      return onnxOf(bytes, given);
  }
}

function onnxOf(bytes: Uint8Array, { output }: ReadOptions): ForeignOnnx {
  const onnx = readOnnx(bytes);
  const ends = endsOf(onnx, { output });
  const { names, width, notes } = ends;
  return { onnx, ends, names, width, title: `ONNX${onnx.producer === "" ? "" : ` of ${onnx.producer}`}`, notes };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw invalidModel(`it is no JSON: ${messageOf(error)}`, error);
  }
}
