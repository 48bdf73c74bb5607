"""Answers of XGBoost that test/reference/gbdt.test.ts compares with.

    python3 -m venv .cache/venv && .cache/venv/bin/pip install xgboost scikit-learn numpy
    .cache/venv/bin/python scripts/reference/gbdt.py
"""

import json
import math
import pathlib

import numpy as np
import xgboost as xgb
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "data"


def small(name, seed, *, rows=240, columns=4, levels=6, missing=0.0, weighted=False, **params):
    """A problem with few distinct values, where histogram and exact search see the same splits.

    With gamma the answers come from "hist", which does not grow below a split that gains too little; "exact" grows and prunes.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, size=(rows, columns)).astype(np.float32)
    margin = 0.8 * (x[:, 0] - levels / 2) + 0.5 * x[:, 1] * (x[:, 2] > levels / 2) - 1.2
    if missing > 0:
        gone = rng.random((rows, columns)) < missing
        gone[:, 0] |= (margin > 0.5) & (rng.random(rows) < missing)
        x[gone] = np.nan
    y = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(int)
    weights = rng.integers(1, 5, rows).astype(np.float32) if weighted else None
    settings = {
        "objective": "binary:logistic",
        "tree_method": "exact",
        "max_depth": 3,
        "eta": 0.3,
        "lambda": 1.0,
        "alpha": 0.0,
        "gamma": 0.0,
        "min_child_weight": 1.0,
        "scale_pos_weight": 1.0,
        "base_score": 0.5,
        "nthread": 1,
        **params,
    }
    data = xgb.DMatrix(x, y, weight=weights)
    booster = xgb.train(settings, data, num_boost_round=4)
    dump = booster.get_dump(dump_format="json", with_stats=True)
    return {
        "name": name,
        "params": settings,
        "x": [[None if math.isnan(v) else int(v) for v in row] for row in x.tolist()],
        "y": y.tolist(),
        "weights": None if weights is None else weights.tolist(),
        "trees": [json.loads(tree) for tree in dump],
        "margins": [round(float(m), 7) for m in booster.predict(data, output_margin=True)],
    }


class Stream:
    """mulberry32, which test/reference/medium.ts repeats, so that the data need not be stored."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        t = self.state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) / 4294967296


MEDIUM_COLUMNS = 8


def medium_data(rows, seed):
    stream = Stream(seed)
    x = np.empty((rows, MEDIUM_COLUMNS), dtype=np.float32)
    y = np.empty(rows, dtype=int)
    for r in range(rows):
        u = [stream.next() for _ in range(MEDIUM_COLUMNS)]
        margin = -4.2 + 3 * u[0] * u[1] + 2.5 * (1 if u[2] > 0.9 else 0) - 2 * (u[3] - 0.5) + 4 * (u[4] - 0.5) ** 2
        for c in range(MEDIUM_COLUMNS):
            x[r, c] = u[c]
        x[r, 5] = u[5] * 10 - (u[5] * 10) % 1
        if u[6] < 0.1:
            x[r, 3] = np.nan
            margin += 0.7
        y[r] = 1 if stream.next() < 1 / (1 + math.exp(-margin)) else 0
    return x, y


def medium():
    x, y = medium_data(40_000, 1)
    later_x, later_y = medium_data(60_000, 2)
    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": 5,
        "eta": 0.1,
        "lambda": 1.0,
        "min_child_weight": 1.0,
        "base_score": float(y.mean()),
        "nthread": 1,
    }
    booster = xgb.train(settings, xgb.DMatrix(x, y), num_boost_round=60)
    p = booster.predict(xgb.DMatrix(later_x))
    return {
        "rows": len(y),
        "laterRows": len(later_y),
        "frauds": int(y.sum()),
        "laterFrauds": int(later_y.sum()),
        "sum": float(np.nansum(x[:1000].astype(np.float64))),
        "params": settings,
        "trees": 60,
        "rocAuc": roc_auc_score(later_y, p),
        "averagePrecision": average_precision_score(later_y, p),
        "logLoss": log_loss(later_y, p),
    }


problems = [
    small("plain", 1),
    small("missing values", 2, missing=0.25, max_depth=4),
    small("alpha, gamma, lambda", 3, tree_method="hist", alpha=0.7, gamma=0.5, **{"lambda": 2.5}),
    small("weights of rows and of frauds", 4, weighted=True, scale_pos_weight=3.0),
    small("heavy children, other start", 5, min_child_weight=6.0, base_score=0.2, missing=0.1),
]
answers = {"xgboost": xgb.__version__, "small": problems, "medium": medium()}
(OUT / "gbdt.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
