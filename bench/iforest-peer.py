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
forest = IsolationForest(n_estimators=task["trees"], max_samples=task["sample"], n_jobs=1, random_state=task["seed"])
cpu, start = time.process_time(), time.perf_counter()
forest.fit(x)
measured = {"seconds": time.perf_counter() - start, "cpuSeconds": time.process_time() - cpu}
measured["rssBytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
start = time.perf_counter()
scores = -forest.score_samples(x)
measured["scoreSeconds"] = time.perf_counter() - start
scores.astype(np.float32).tofile(task["scores"])
print(json.dumps(measured))
