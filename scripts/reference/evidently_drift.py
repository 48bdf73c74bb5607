# Evidently's answers on given windows: reads {"features": [{name, kind, reference, window}], "methods": {number: [...], category: [...]}, "repeats"}
# as JSON from standard input, writes {"version", "scores": {feature: {method: score}}, "statistics": {feature: {ks}}, "seconds"}.
import json
import sys
import time

import evidently
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from scipy.stats import ks_2samp


def main() -> None:
    task = json.load(sys.stdin)
    features = task["features"]
    names = {kind: [f["name"] for f in features if f["kind"] == kind] for kind in ("number", "category")}
    definition = DataDefinition(numerical_columns=names["number"], categorical_columns=names["category"])

    def side(which: str) -> Dataset:
        # Samples of both sides have lengths of their own, but columns of one side are as long as each other.
        frame = pd.DataFrame({f["name"]: f[which] for f in features})
        return Dataset.from_pandas(frame, data_definition=definition)

    asked = [(f["name"], method) for f in features for method in task["methods"][f["kind"]]]
    best = None
    for _ in range(task.get("repeats", 1)):
        start = time.perf_counter()
        report = Report([ValueDrift(column=name, method=method) for name, method in asked])
        snapshot = report.run(side("window"), side("reference"))
        values = [metric["value"] for metric in snapshot.dict()["metrics"]]
        seconds = time.perf_counter() - start
        best = seconds if best is None else min(best, seconds)
    scores: dict = {}
    for (name, method), value in zip(asked, values, strict=True):
        scores.setdefault(name, {})[method] = float(value)
    statistics = {
        f["name"]: {"ks": float(ks_2samp(f["reference"], f["window"]).statistic)}
        for f in features
        if f["kind"] == "number"
    }
    print(json.dumps({"version": evidently.__version__, "scores": scores, "statistics": statistics, "seconds": best}))


main()
