"""One measured validation by Great Expectations on pandas: the same file, the same suite, one line of JSON. Reading is timed apart."""

import json
import logging
import resource
import sys
import time
import warnings

logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")

import great_expectations as gx
import pandas as pd
from great_expectations.core.expectation_suite import ExpectationSuite

task = json.loads(sys.argv[1])
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
began = time.perf_counter()
frame = pd.read_parquet(task["file"])
for name in frame.columns:
    if str(frame[name].dtype).startswith("datetime64[") and getattr(frame[name].dtype, "tz", None) is not None:
        frame[name] = frame[name].dt.tz_localize(None)
read = time.perf_counter() - began
asset = context.data_sources.add_pandas("bench").add_dataframe_asset(name="bench")
batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
suite = ExpectationSuite(**json.load(open(task["suite"])))
began = time.perf_counter()
cpu = time.process_time()
result = batch.validate(suite, result_format="SUMMARY")
seconds = time.perf_counter() - began
cpu = time.process_time() - cpu


def key(one):
    """Each question of the suite is about a type and a column of its own; kwargs come back coerced."""
    kwargs = one["kwargs"]
    return one["type"], str(kwargs.get("column") or kwargs.get("column_A") or kwargs.get("column_list"))


found = {key(one["expectation_config"]): bool(one["success"]) for one in result.to_json_dict()["results"]}
asked = [key(one) for one in json.load(open(task["suite"]))["expectations"]]
print(
    json.dumps(
        {
            "seconds": seconds,
            "readSeconds": read,
            "cpuSeconds": cpu,
            "peakMiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "successes": [found.get(one) for one in asked],
        }
    )
)
