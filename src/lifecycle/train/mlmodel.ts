// What makes a bundle a model of MLflow: MLmodel with its signature, input examples, and the environment it is scored in.
import { ONNX_OUTPUT } from "../../ml/onnx/graph.ts";
import { BUNDLE_FORMAT, type GoldenRow, jsonFile, textFile } from "../../online/bundle.ts";

/** The versions our tests load and score bundles with; MLflow installs them where it makes an environment of its own. */
const PYTHON = "3.11";
const ONNX = "1.23.2";
/** What pip can install whole: of MLflow 3.18.0 PyPI lacks a part. */
const REQUIREMENTS = ["mlflow==3.17.2", `onnx==${ONNX}`, "onnxruntime==1.32.0", "numpy==2.4.6"];

const EXAMPLE_ROWS = 3;

/**
 * The files by name. Columns are typed `double`: MLflow refuses pandas' float64 for `float`, and rounds to the graph's
 * Float32 itself. The signature is not optional: without one MLflow takes columns in whatever order they come. Nothing
 * here depends on the clock or on ids, so the same training gives the same bytes; MLflow adds ids where it wants them.
 */
export function mlmodelFiles(columns: readonly string[], golden: readonly GoldenRow[]): [string, Uint8Array][] {
  const example = { columns, data: exampleRows(golden) };
  return [
    ["MLmodel", textFile(mlmodelText(columns))],
    ["input_example.json", jsonFile(example)],
    ["serving_input_example.json", jsonFile({ dataframe_split: example })],
    ["requirements.txt", textFile(lines(REQUIREMENTS))],
    ["conda.yaml", textFile(condaText())],
    ["python_env.yaml", textFile(lines([`python: "${PYTHON}"`, "dependencies:", "- -r requirements.txt"]))],
  ];
}

function mlmodelText(columns: readonly string[]): string {
  const inputs = columns.map((name) => ({ type: "double", name, required: true }));
  const outputs = [{ type: "double", name: ONNX_OUTPUT, required: true }];
  return lines([
    "flavors:",
    "  onnx:",
    "    data: model.onnx",
    `    onnx_version: "${ONNX}"`,
    "    providers: [CPUExecutionProvider]",
    "  python_function:",
    "    data: model.onnx",
    "    env: {conda: conda.yaml, virtualenv: python_env.yaml}",
    "    loader_module: mlflow.onnx",
    `    python_version: "${PYTHON}"`,
    "  sentinel:",
    "    data: bundle.json",
    `    format: ${BUNDLE_FORMAT}`,
    "saved_input_example_info:",
    "  artifact_path: input_example.json",
    "  pandas_orient: split",
    "  serving_input_path: serving_input_example.json",
    "  type: dataframe",
    "signature:",
    `  inputs: ${yamlText(JSON.stringify(inputs))}`,
    `  outputs: ${yamlText(JSON.stringify(outputs))}`,
    "  params: null",
  ]);
}

function condaText(): string {
  return lines([
    "name: sentinel",
    "channels:",
    "- conda-forge",
    "dependencies:",
    `- python=${PYTHON}`,
    "- pip",
    "- pip:",
    ...REQUIREMENTS.map((requirement) => `  - ${requirement}`),
  ]);
}

/** Golden rows with the fewest missing values: pandas cannot tell the type of a column that is missing throughout. */
function exampleRows(golden: readonly GoldenRow[]): (readonly (number | null)[])[] {
  const missing = ({ vector }: GoldenRow): number => vector.filter((value) => value === null).length;
  return [...golden]
    .sort((a, b) => missing(a) - missing(b))
    .slice(0, EXAMPLE_ROWS)
    .map(({ vector }) => vector);
}

/** A text as a single-quoted YAML scalar. */
function yamlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function lines(texts: readonly string[]): string {
  return `${texts.join("\n")}\n`;
}
