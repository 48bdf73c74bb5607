"""Trains models of the usual size in the folder given, or scores the rows beside each: foreign_check.py train|score FOLDER."""

import json
import pathlib
import sys

import lightgbm as lgb
import numpy as np
import xgboost as xgb

WIDTH = 8
NAMES = [f"f{i}" for i in range(WIDTH)]
# Whole numbers from 0 up, categories to the models that know such.
CATEGORY = 3


def training_data():
    rng = np.random.default_rng(17)
    x = rng.normal(size=(20_000, WIDTH)).astype(np.float32)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, CATEGORY] = rng.integers(0, 40, len(x))
    x[:, 5] = np.exp(5 * x[:, 5])
    pull = np.nansum(x[:, :3], axis=1) + np.sin(x[:, CATEGORY]) + 0.2 * np.log1p(np.nan_to_num(x[:, 5]))
    return x, (pull + rng.normal(size=len(x)) > 2.5).astype(int)


def train(folder):
    x, y = training_data()
    kinds = ["c" if i == CATEGORY else "q" for i in range(WIDTH)]
    base = {"objective": "binary:logistic", "nthread": 1, "seed": 1, "tree_method": "hist"}

    def boost(rounds, types=None, **more):
        data = xgb.DMatrix(x, y, feature_names=NAMES, feature_types=types, enable_categorical=types is not None)
        return xgb.train({**base, **more}, data, rounds)

    boost(300, max_depth=6, eta=0.1).save_model(folder / "xgboost.json")
    boost(60, max_depth=10, eta=0.3, grow_policy="lossguide", max_leaves=200).save_model(folder / "xgboost-deep.ubj")
    boost(100, types=kinds, max_depth=5, max_cat_to_onehot=4).save_model(folder / "xgboost-categories.json")

    def grow(rounds, **more):
        params = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, **more}
        columns = [CATEGORY] if more.get("max_cat_to_onehot") else []
        data = lgb.Dataset(x, y, feature_name=NAMES, categorical_feature=columns, params=params)
        return lgb.train(params, data, rounds)

    grow(300, num_leaves=31).save_model(folder / "lightgbm.txt")
    grow(60, num_leaves=255, learning_rate=0.3, min_data_in_leaf=5).save_model(folder / "lightgbm-deep.txt")
    grow(100, max_cat_to_onehot=4).save_model(folder / "lightgbm-categories.txt")
    grow(40, boosting="rf", bagging_freq=1, bagging_fraction=0.7).save_model(folder / "lightgbm-forest.txt")


def score(folder):
    for file in sorted(folder.iterdir()):
        if file.suffix not in (".json", ".ubj", ".txt"):
            continue
        rows = np.frombuffer((folder / f"{file.name}.rows").read_bytes(), dtype="<f4").reshape(-1, WIDTH)
        if file.suffix == ".txt":
            scores = lgb.Booster(model_file=str(file)).predict(rows.astype(np.float64), num_threads=1)
        else:
            booster = xgb.Booster(model_file=str(file))
            types = booster.feature_types
            data = xgb.DMatrix(rows, feature_names=NAMES, feature_types=types, enable_categorical=types is not None)
            scores = booster.predict(data)
        (folder / f"{file.name}.scores").write_bytes(scores.astype("<f8").tobytes())
    print(json.dumps({"xgboost": xgb.__version__, "lightgbm": lgb.__version__}))


if __name__ == "__main__":
    {"train": train, "score": score}[sys.argv[1]](pathlib.Path(sys.argv[2]))
