"""Answers of the Fraud Detection Handbook's own functions (folds, card precision) for test/bench/protocol.test.ts.

    git clone --depth 1 https://github.com/Fraud-Detection-Handbook/fraud-detection-handbook .cache/handbook
    python3 -m venv .cache/venv && .cache/venv/bin/pip install pandas scikit-learn
    .cache/venv/bin/python scripts/reference/handbook.py .cache/handbook/Chapter_References/shared_functions.py
"""

import ast
import datetime
import json
import pathlib
import sys

import numpy as np
import pandas as pd
from sklearn import metrics

OUT = pathlib.Path(__file__).parents[2] / "test" / "bench" / "data" / "handbook.json"
FIRST_DAY = datetime.datetime(2020, 1, 1)
DAYS, ROWS_A_DAY, CARDS, K = 31, 160, 200, 100
STARTS = [2, 9]


def handbook_functions(path):
    """The functions asked for, out of a file whose other imports are not needed."""
    names = {"get_train_test_set", "card_precision_top_k", "card_precision_top_k_day"}
    found = [node for node in ast.parse(pathlib.Path(path).read_text()).body if getattr(node, "name", None) in names]
    scope = {"pd": pd, "np": np, "datetime": datetime}
    exec(compile(ast.Module(body=found, type_ignores=[]), path, "exec"), scope)
    return [scope[name] for name in sorted(names)]


def transactions():
    """Cards that stay compromised for a while, so that known ones matter; scores that are right more often than not."""
    rng = np.random.default_rng(11)
    day = np.repeat(np.arange(DAYS), ROWS_A_DAY)
    seconds = np.sort(rng.integers(0, 86400, (DAYS, ROWS_A_DAY)), axis=1).ravel()
    card = rng.integers(0, CARDS, len(day))
    since, until = np.sort(rng.integers(-20, DAYS + 30, (CARDS, 2)), axis=1).T
    fraud = ((day >= since[card]) & (day < np.minimum(until, since + 9)[card]) & (rng.random(len(day)) < 0.4)).astype(int)
    score = rng.permutation(len(day)) / len(day) + 0.3 * fraud
    frame = {"TRANSACTION_ID": np.arange(len(day)), "TX_TIME_DAYS": day, "CUSTOMER_ID": card, "TX_FRAUD": fraud, "predictions": np.round(score, 5)}
    frame["TX_DATETIME"] = [FIRST_DAY + datetime.timedelta(days=int(d), seconds=int(s)) for d, s in zip(day, seconds)]
    return pd.DataFrame(frame)


def fold(table, start, get_train_test_set, card_precision_top_k):
    train, test = get_train_test_set(table, FIRST_DAY + datetime.timedelta(days=start))
    _, _, cp = card_precision_top_k(test, K)
    return {
        "start": start,
        "train": [int(train.TRANSACTION_ID.min()), int(train.TRANSACTION_ID.max()), len(train)],
        "test": test.TRANSACTION_ID.tolist(),
        "auc": float(metrics.roc_auc_score(test.TX_FRAUD, test.predictions)),
        "ap": float(metrics.average_precision_score(test.TX_FRAUD, test.predictions)),
        "cp100": float(cp),
    }


card_precision_top_k, _, get_train_test_set = handbook_functions(sys.argv[1])
table = transactions()
columns = {"day": "TX_TIME_DAYS", "card": "CUSTOMER_ID", "y": "TX_FRAUD", "score": "predictions"}
answers = {name: table[column].tolist() for name, column in columns.items()}
answers["folds"] = [fold(table, start, get_train_test_set, card_precision_top_k) for start in STARTS]
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps(answers, separators=(",", ":")) + "\n")
