// A foreign model's file: read whole within a limit, its format told from its beginning, parsed by that format's reader.
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { messageOf, SentinelError } from "../../core/errors.ts";
import { sha256 } from "../../core/hash.ts";
import { type ForeignTrees, invalidModel, unsupportedModel } from "../../ml/foreign/flatten.ts";
import { readLightgbm } from "../../ml/foreign/lightgbm.ts";
import { endsOf, type OnnxEnds } from "../../ml/foreign/onnx/ends.ts";
import { type OnnxModel, readOnnx } from "../../ml/foreign/onnx/model.ts";
import { parseUbjson } from "../../ml/foreign/ubjson.ts";
import { readXgboost } from "../../ml/foreign/xgboost.ts";

export const FOREIGN_FORMATS = ["onnx", "xgboost", "lightgbm"] as const;
export type ForeignFormat = (typeof FOREIGN_FORMATS)[number];

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
}

/** A model of the largest size imported is well below; a parsed JSON takes several times as much memory. */
const FILE_BYTES_MAX = 512 * 2 ** 20;

/** Errors: `ml.model-invalid`, `ml.model-unsupported`, `cli.usage` where there is no such file. */
export function readForeign(file: string, options: ReadOptions): ForeignFile {
  const bytes = bytesOf(file);
  const format = options.format ?? formatOf(bytes);
  return {
    format,
    file: path.basename(file),
    sha256: sha256(bytes),
    model: parse(bytes, { ...options, format }),
  };
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

/** JSON and UBJSON begin with a brace, LightGBM's text with the line "tree"; protobuf has no mark of its own. */
function formatOf(bytes: Uint8Array): ForeignFormat {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 64)).trimStart();
  if (start.startsWith("{")) return "xgboost";
  if (/^tree\r?\n/.test(start)) return "lightgbm";
  return "onnx";
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

function onnxOf(bytes: Uint8Array, { output, rounds }: ReadOptions): ForeignOnnx {
  const onnx = readOnnx(bytes);
  if (rounds !== undefined) {
    throw unsupportedModel("an ONNX model has no rounds to choose from", "leave --rounds out");
  }
  const ends = endsOf(onnx, { output });
  const { names, width, notes } = ends;
  return { onnx, ends, names, width, title: `ONNX${onnx.producer === "" ? "" : ` of ${onnx.producer}`}`, notes };
}

/** After the brace UBJSON has the type of a name's length, JSON a quote or white space. */
function isUbjson(bytes: Uint8Array): boolean {
  return bytes[0] === 0x7b && "iUIlL$#".includes(String.fromCharCode(bytes[1] ?? 0));
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw invalidModel(`it is no JSON: ${messageOf(error)}`, error);
  }
}
