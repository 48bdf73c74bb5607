"""XGBoost's pred_contribs, which test/reference/shap.test.ts compares with: of the imported models in test/reference/foreign,
and of models made here whose paths ask the same column again and again.

    python3 -m venv .cache/venv && .cache/venv/bin/pip install xgboost==3.2.0 numpy
    .cache/venv/bin/python scripts/reference/shap.py
"""

import base64
import json
import pathlib
import tempfile

import numpy as np
import xgboost as xgb

HERE = pathlib.Path(__file__).parents[2] / "test" / "reference"
FOREIGN = HERE / "foreign"
# Of the stored rows; each has a value a column and one more.
ROWS = 100


def b64(values):
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


def imported():
    """File name → contributions of the first rows stored with the foreign models."""
    stored = json.loads((FOREIGN / "answers.json").read_text())
    rows = np.frombuffer(base64.b64decode(stored["rows"]), dtype="<f4").reshape(-1, len(stored["columns"]))[:ROWS]
    for name, model in sorted(stored["models"].items()):
        if not name.startswith("xgboost"):
            continue
        booster = xgb.Booster(model_file=FOREIGN / model["file"])
        data = xgb.DMatrix(rows, feature_names=booster.feature_names, feature_types=booster.feature_types)
        # An import takes the rounds up to the best one, where training stopped early.
        stopped = booster.attr("best_iteration")
        rounds = booster.num_boosted_rounds() if stopped is None else int(stopped) + 1
        yield model["file"], b64(booster.predict(data, pred_contribs=True, iteration_range=(0, rounds)))


def problem(name, seed, *, columns, trees, depth, rows=1500, shown=40, **params):
    """Columns interact and go missing for a reason."""
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, columns)), 2).astype(np.float32)
    margin = -1.5 + x[:, 0] * x[:, 1] + 1.5 * (x[:, 2 % columns] > 0.8) + np.sin(3 * x[:, 0])
    gone = rng.random((rows, columns)) < 0.1
    gone[:, 1] |= (margin > 1) & (rng.random(rows) < 0.5)
    x[gone] = np.nan
    y = (rng.random(rows) < 1 / (1 + np.exp(-margin))).astype(int)
    settings = {"objective": "binary:logistic", "tree_method": "hist", "eta": 0.3, "base_score": 0.2, "nthread": 1}
    booster = xgb.train({**settings, "max_depth": depth, **params}, xgb.DMatrix(x, y), trees)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        booster.save_model(file.name)
        document = json.load(open(file.name))
    contributions = booster.predict(xgb.DMatrix(x[:shown]), pred_contribs=True)
    return {"name": name, "columns": columns, "document": document, "rows": b64(x[:shown]), "contributions": b64(contributions)}


leafwise = {"grow_policy": "lossguide", "max_leaves": 24, "gamma": 0.4, "scale_pos_weight": 5.0}
problems = [
    problem("depth 6, eight columns", 1, columns=8, trees=12, depth=6),
    problem("columns asked again and again", 2, columns=3, trees=3, depth=10, min_child_weight=0.1),
    problem("leaf-wise, pruned, weighted frauds", 3, columns=5, trees=6, depth=0, **leafwise),
    problem("single leaves", 4, columns=3, trees=2, depth=3, gamma=1e6),
]
answers = {"xgboost": xgb.__version__, "imported": dict(imported()), "problems": problems}
(HERE / "data" / "shap.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")
