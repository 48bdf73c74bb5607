"""One measured isolation forest of scikit-learn in a process of its own: reads raw files, prints one line of JSON."""

import json
import resource
import sys
import time

import numpy as np
from sklearn.ensemble import IsolationForest

task = json.loads(sys.argv[1])
table = task["table"]
x = np.fromfile(table["byRow"], dtype=np.float32).reshape(table["rows"], table["columns"])


def timed(work):
    cpu, start = time.process_time(), time.perf_counter()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - cpu


def train():
    forest = IsolationForest(n_estimators=task["trees"], max_samples=task["sample"], n_jobs=1, random_state=task["seed"])
    return timed(lambda: forest.fit(x))


first, cold, _ = train()
# The middle one of several after the first.
trainings = sorted((train() for _ in range(5)), key=lambda training: training[1])
forest, seconds, cpu = trainings[2]
measured = {"seconds": seconds, "cpuSeconds": cpu, "coldSeconds": cold}
measured["rssBytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
first.score_samples(x)
scores, measured["scoreSeconds"], measured["scoreCpuSeconds"] = timed(lambda: -forest.score_samples(x))
scores.astype(np.float32).tofile(task["scores"])
print(json.dumps(measured))
