"""Asks the real Great Expectations about many tables in one process, for test/reference/gx.test.ts.

    python scripts/reference/gx_parity.py < asked.json > answers.json

asked: {"tables": {name: {column: {"kind", "values"}}}, "suite": [{"type", "kwargs"}, ...]}, as test/quality/parity holds them.
answers: {"versions": {...}, "answers": {table: [answer, ...]}}, an answer being {"success", "result"}, {"success", "exception"} or {"refused"}.
"""

import json
import logging
import sys
import warnings

import great_expectations as gx
import pandas as pd
from gx_cases import exception_of, frame, plain
from great_expectations.expectations.expectation_configuration import ExpectationConfiguration


def expectation_of(asked):
    try:
        return ExpectationConfiguration(type=asked["type"], kwargs=asked["kwargs"]).to_domain_obj()
    except Exception as error:
        return str(error).splitlines()[0][:200]


def answer(batch, expectation):
    if isinstance(expectation, str):
        return {"refused": expectation}
    result = batch.validate(expectation, result_format="SUMMARY").to_json_dict()
    exception = exception_of(result)
    if exception is not None:
        return {"success": bool(result["success"]), "exception": exception[:200]}
    return {"success": bool(result["success"]), "result": plain(result["result"])}


def main():
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    asked = json.load(sys.stdin)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_pandas("parity")
    expectations = [expectation_of(one) for one in asked["suite"]]
    answers = {}
    for number, (name, table) in enumerate(asked["tables"].items()):
        asset = source.add_dataframe_asset(name=f"table-{number}")
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame(table)})
        answers[name] = [answer(batch, expectation) for expectation in expectations]
    versions = {"great_expectations": gx.__version__, "pandas": pd.__version__}
    json.dump({"versions": versions, "answers": answers}, sys.stdout, allow_nan=False)


if __name__ == "__main__":
    main()
