"""Answers of XGBoost and LightGBM that test/reference/gbdt.test.ts compares with.

    python3 -m venv .cache/venv && .cache/venv/bin/pip install xgboost lightgbm scikit-learn numpy
    .cache/venv/bin/python scripts/reference/gbdt.py
"""

import json
import math
import pathlib

import lightgbm as lgb
import numpy as np
import xgboost as xgb
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "data"


def small(name, seed, *, rows=240, columns=4, levels=6, missing=0.0, weighted=False, categories=(), **params):
    """A problem with few distinct values, where histogram and exact search see the same splits.

    With gamma the answers come from "hist", which does not grow below a split that gains too little; "exact" grows and prunes.
    Columns in `categories` mean nothing by their order, to the labels as to the learner.
    """
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, size=(rows, columns)).astype(np.float32)
    margin = 0.8 * (x[:, 0] - levels / 2) + 0.5 * x[:, 1] * (x[:, 2] > levels / 2) - 1.2
    for column in categories:
        margin += 1.5 * ((x[:, column] * 7) % 5 - 2)
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
    types = ["c" if column in categories else "float" for column in range(columns)]
    data = xgb.DMatrix(x, y, weight=weights, feature_types=types, enable_categorical=True)
    booster = xgb.train(settings, data, num_boost_round=4)
    dump = booster.get_dump(dump_format="json", with_stats=True)
    return {
        "name": name,
        "params": settings,
        "x": [[None if math.isnan(v) else int(v) for v in row] for row in x.tolist()],
        "y": y.tolist(),
        "categories": list(categories),
        "weights": None if weights is None else weights.tolist(),
        "trees": [json.loads(tree) for tree in dump],
        "margins": [round(float(m), 7) for m in booster.predict(data, output_margin=True)],
    }


def lightgbm(name, seed, *, rows=600, levels=9, **params):
    """Columns of categories without missing values, whose side LightGBM does not learn; margins after one tree and after two.

    LightGBM guesses the rows of a category in a node from their hessians, and leaves out those it takes for too few; while all rows
    are near even odds it guesses right."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, levels, size=(rows, 3)).astype(np.float32)
    margin = 1.1 * ((x[:, 0] * 7) % 5 - 2) + 0.6 * ((x[:, 1] * 4) % 7 - 3) + 0.3 * x[:, 2] - 2
    y = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(int)
    settings = {
        "objective": "binary",
        "boost_from_average": False,
        "learning_rate": 0.3,
        "max_depth": 3,
        "num_leaves": 8,
        "lambda_l2": 0.0,
        "cat_l2": 0.0,
        # Also the rows a category needs in a node to be ordered there: not more than the one that is there.
        "cat_smooth": 1e-3,
        "max_cat_to_onehot": 1,
        "max_cat_threshold": 100,
        "min_data_per_group": 1,
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "min_sum_hessian_in_leaf": 1.0,
        "num_threads": 1,
        "deterministic": True,
        "verbosity": -1,
        **params,
    }
    booster = lgb.train(settings, lgb.Dataset(x, y, categorical_feature=[0, 1]), num_boost_round=4)
    return {
        "name": name,
        "params": {key: value for key, value in settings.items() if isinstance(value, (int, float))},
        "x": x.astype(int).tolist(),
        "y": y.tolist(),
        "margins": {
            trees: [round(float(m), 7) for m in booster.predict(x, raw_score=True, num_iteration=trees)]
            for trees in (1, 2)
        },
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


# Sets of categories, not one against the rest; XGBoost has them in its histogram method only. It puts categories lighter than
# min_child_weight in no order, which loses it the best split; without that weight it orders all.
HIST_CATEGORIES = {"tree_method": "hist", "max_cat_to_onehot": 1, "max_cat_threshold": 100, "min_child_weight": 0.0}

problems = [
    small("plain", 1),
    small("missing values", 2, missing=0.25, max_depth=4),
    small("alpha, gamma, lambda", 3, tree_method="hist", alpha=0.7, gamma=0.5, **{"lambda": 2.5}),
    small("weights of rows and of frauds", 4, weighted=True, scale_pos_weight=3.0),
    small("heavy children, other start", 5, min_child_weight=6.0, base_score=0.2, missing=0.1),
    small("missing on either side, deep", 6, missing=0.4, max_depth=5, **{"lambda": 0.5}),
    small("monotone, up and down", 7, max_depth=5, monotone_constraints="(1,-1,0,1)"),
    small("monotone against the data, missing values", 8, missing=0.2, max_depth=4, monotone_constraints="(-1,1,1,0)"),
    small("monotone, by histograms", 9, tree_method="hist", max_depth=6, monotone_constraints="(1,1,1,1)"),
    small("categories", 10, categories=(1, 3), levels=8, **HIST_CATEGORIES),
    small("categories, missing values", 11, categories=(0, 2), levels=9, missing=0.2, max_depth=4, **HIST_CATEGORIES),
    small(
        "categories beside monotone columns",
        12,
        categories=(1,),
        levels=7,
        missing=0.1,
        max_depth=4,
        monotone_constraints="(1,0,-1,1)",
        **HIST_CATEGORIES,
    ),
]
answers = {
    "xgboost": xgb.__version__,
    "lightgbm": lgb.__version__,
    "small": problems,
    "categories": [
        lightgbm("by means alone", 1),
        lightgbm("smoothed", 2, cat_smooth=1.0, lambda_l2=1.0),
        lightgbm("many", 3, levels=40, rows=1500, cat_smooth=1.0),
    ],
    "medium": medium(),
}
(OUT / "gbdt.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
