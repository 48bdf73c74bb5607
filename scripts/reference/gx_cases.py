"""Runs the real Great Expectations over stored cases, so that tests can compare Sentinel's answers with its answers.

    pip install great_expectations          (the answers in the repository name the versions that gave them)
    python scripts/reference/gx_cases.py          reads  test/quality/reference/{cases,card}.json, pipelines/card.suite.json
                                            writes test/quality/reference/{cases,card}.answers.json
    npx biome check --write test/quality    lays the files out as the repository does
"""

import json
import logging
import math
import pathlib
import warnings

import great_expectations as gx
import pandas as pd
from great_expectations.core.expectation_suite import ExpectationSuite
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "test" / "quality" / "reference"
DTYPES = {"float": "float64", "int": "int64", "time": "datetime64[ns]"}


def frame(table):
    """A table of the case file as a DataFrame; null is missing, times are UTC without a zone."""
    columns = {}
    for name, column in table.items():
        values = column["values"]
        if column["kind"] == "time":
            columns[name] = pd.to_datetime(pd.Series(values, dtype="object"))
        elif column["kind"] == "text":
            columns[name] = pd.Series(values, dtype="str")
        else:
            columns[name] = pd.Series([float(v) if isinstance(v, str) else v for v in values], dtype=DTYPES[column["kind"]])
    return pd.DataFrame(columns)


def plain(value):
    """JSON without NaN and Infinity: NaN as null, infinities as Sentinel writes them."""
    if isinstance(value, dict):
        # A traceback names paths of the machine that made the answers, and nothing compares it.
        return {str(key): None if key == "exception_traceback" else plain(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(member) for member in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def exception_of(result):
    info = result["exception_info"]
    for entry in [info] if "raised_exception" in info else info.values():
        if entry.get("raised_exception"):
            return entry.get("exception_message")
    return None


def answer(batch, case):
    """One expectation over one batch; what construction refuses is an answer too."""
    try:
        configuration = ExpectationConfiguration(type=case["type"], kwargs=case["kwargs"])
        expectation = configuration.to_domain_obj()
    except Exception as error:
        return {"refused": str(error).splitlines()[0][:200]}
    result = batch.validate(expectation, result_format="SUMMARY").to_json_dict()
    exception = exception_of(result)
    if exception is not None:
        return {"success": bool(result["success"]), "exception": exception[:200]}
    return {"success": bool(result["success"]), "result": plain(result["result"])}


def suite_answer(batch, suite):
    expectations = [ExpectationConfiguration(**entry).to_domain_obj() for entry in suite["expectations"]]
    built = ExpectationSuite(**suite)
    result = plain(batch.validate(built, result_format="SUMMARY").to_json_dict())
    result.pop("meta")  # times and fingerprints, other on every run
    return result


def main():
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    context = gx.get_context(mode="ephemeral")
    source = context.data_sources.add_pandas("reference")
    versions = {"great_expectations": gx.__version__, "pandas": pd.__version__}

    def batch_of(name, table):
        asset = source.add_dataframe_asset(name=name)
        return asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame(table)})

    given = json.loads((REFERENCE / "cases.json").read_text())
    batches = {name: batch_of(name, table) for name, table in given["tables"].items()}
    answers = [answer(batches[case["table"]], case) for case in given["cases"]]
    write("cases.answers.json", {"versions": versions, "answers": answers})

    if (REFERENCE / "card.json").exists():
        suite = json.loads((ROOT / "pipelines" / "card.suite.json").read_text())
        tables = json.loads((REFERENCE / "card.json").read_text())["tables"]
        results = {name: suite_answer(batch_of(f"card-{name}", table), suite) for name, table in tables.items()}
        write("card.answers.json", {"versions": versions, "results": results})


def write(name, document):
    (REFERENCE / name).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
