"""Measured scoring of XGBoost on our own trees in a process of its own: reads raw files, prints one line of JSON."""

import json
import sys
import time

import numpy as np
import xgboost as xgb

task = json.loads(sys.argv[1])
table = task["table"]
x = np.fromfile(table["byRow"], dtype=np.float32).reshape(table["rows"], table["columns"])
WARM_UP_CALLS = 300


def timed(count, work):
    """Seconds of a call, from one measurement of many."""
    cpu, start = time.process_time(), time.perf_counter()
    work()
    return {"seconds": (time.perf_counter() - start) / count, "cpuSeconds": (time.process_time() - cpu) / count}


def single(booster):
    rows = [x[r : r + 1] for r in range(task["singleRows"])]

    def score(some):
        for row in some:
            booster.inplace_predict(row)

    score(rows[:WARM_UP_CALLS])
    return timed(len(rows), lambda: score(rows))


measured = {}
for model in task["models"]:
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(model["xgboost"])
    booster.set_param({"nthread": 1})
    measured[f"single{model['trees']}"] = single(booster)
    if model["trees"] != task["batchTrees"]:
        continue
    booster.inplace_predict(x).astype(np.float32).tofile(task["scores"])
    passes = range(task["batchPasses"])
    count = len(passes) * len(x)
    measured["inplace"] = timed(count, lambda: [booster.inplace_predict(x) for _ in passes])
    # A matrix keeps its predictions: each call is given a new one, as new rows would be.
    measured["matrix"] = timed(count, lambda: [booster.predict(xgb.DMatrix(x, nthread=1)) for _ in passes])
    some = xgb.DMatrix(x[: task["explainedRows"]], nthread=1)
    booster.predict(xgb.DMatrix(x[:WARM_UP_CALLS], nthread=1), pred_contribs=True)
    contributions = []
    measured["shap"] = timed(
        task["explainedRows"], lambda: contributions.append(booster.predict(some, pred_contribs=True))
    )
    contributions[0][:, :-1].astype(np.float32).tofile(task["attributions"])
print(json.dumps(measured))
