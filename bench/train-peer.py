"""One measured training of a peer (XGBoost or LightGBM) in a process of its own: reads raw files, prints one line of JSON."""

import json
import resource
import sys
import time

import numpy as np

task = json.loads(sys.argv[1])


def read(table):
    x = np.fromfile(table["byRow"], dtype=np.float32).reshape(table["rows"], table["columns"])
    return x, np.fromfile(table["labels"], dtype=np.uint8)


def xgboost():
    import xgboost as xgb

    params = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_bin": task["binsMax"],
        "max_depth": task["depthMax"],
        "eta": task["learningRate"],
        "lambda": task["lambda"],
        "min_child_weight": task["minChildWeight"],
        "base_score": task["startRate"],
        "nthread": task["threads"],
        "seed": task["seed"],
        "verbosity": 0,
    }
    train = lambda x, y: xgb.train(params, xgb.DMatrix(x, label=y, nthread=task["threads"]), task["trees"])
    return train, lambda model, x: model.predict(xgb.DMatrix(x, nthread=1))


def lightgbm():
    import lightgbm as lgb

    params = {
        "objective": "binary",
        "max_bin": task["binsMax"] - 1,
        "max_depth": task["depthMax"],
        "num_leaves": 2 ** task["depthMax"],
        "learning_rate": task["learningRate"],
        "lambda_l2": task["lambda"],
        "min_sum_hessian_in_leaf": task["minChildWeight"],
        "min_data_in_leaf": 0,
        "boost_from_average": task["startRate"] != 0.5,
        "num_threads": task["threads"],
        "seed": task["seed"],
        "verbosity": -1,
    }
    train = lambda x, y: lgb.train(params, lgb.Dataset(x, label=y), task["trees"])
    return train, lambda model, x: model.predict(x, num_threads=1)


train, predict = {"xgboost": xgboost, "lightgbm": lightgbm}[task["peer"]]()
x, y = read(task["train"])
cpu, start = time.process_time(), time.perf_counter()
model = train(x, y)
measured = {"seconds": time.perf_counter() - start, "cpuSeconds": time.process_time() - cpu}
measured["rssBytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
if task["predictions"] is not None:
    predict(model, read(task["test"])[0]).astype(np.float32).tofile(task["predictions"])
print(json.dumps(measured))
