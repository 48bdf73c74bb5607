"""Models of XGBoost with its pred_contribs, which test/reference/shap.test.ts compares with.

    python3 -m venv .cache/venv && .cache/venv/bin/pip install xgboost numpy
    .cache/venv/bin/python scripts/reference/shap.py
"""

import json
import math
import pathlib
import tempfile

import numpy as np
import xgboost as xgb

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "data"


def problem(name, seed, *, columns, trees, depth, rows=1500, shown=40, **params):
    """Columns interact and go missing for a reason; few columns with deep trees ask the same column again and again."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, columns)), 2).astype(np.float32)
    margin = -1.5 + x[:, 0] * x[:, 1] + 1.5 * (x[:, 2 % columns] > 0.8) + np.sin(3 * x[:, 0])
    gone = rng.random((rows, columns)) < 0.1
    gone[:, 1] |= (margin > 1) & (rng.random(rows) < 0.5)
    x[gone] = np.nan
    y = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(int)
    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": depth,
        "eta": 0.3,
        "base_score": 0.2,
        "nthread": 1,
        **params,
    }
    booster = xgb.train(settings, xgb.DMatrix(x, y), trees)
    data = xgb.DMatrix(x[:shown])
    contributions = booster.predict(data, pred_contribs=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        booster.save_model(file.name)
        model = json.load(open(file.name))["learner"]
    kept = ["left_children", "right_children", "split_indices", "split_conditions", "default_left", "sum_hessian"]
    return {
        "name": name,
        "baseScore": 0.2,
        "columns": columns,
        "trees": [{key: tree[key] for key in kept} for tree in model["gradient_booster"]["model"]["trees"]],
        "x": [[None if math.isnan(v) else float(v) for v in row] for row in x[:shown].tolist()],
        "contributions": [[float(f"{v:.8g}") for v in row] for row in contributions.tolist()],
        "margins": [float(f"{v:.8g}") for v in booster.predict(data, output_margin=True).tolist()],
    }


problems = [
    problem("depth 6, eight columns", 1, columns=8, trees=12, depth=6),
    problem("columns asked again and again", 2, columns=3, trees=3, depth=10, min_child_weight=0.1),
    problem("leaf-wise, pruned, weighted frauds", 3, columns=5, trees=6, depth=0, grow_policy="lossguide", max_leaves=24, gamma=0.4, scale_pos_weight=5.0),
    problem("single leaves", 4, columns=3, trees=2, depth=3, gamma=1e6),
]
answers = {"xgboost": xgb.__version__, "problems": problems}
(OUT / "shap.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
