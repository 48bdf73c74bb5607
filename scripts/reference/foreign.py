"""Trains the foreign models of test/reference/foreign with XGBoost, LightGBM and scikit-learn, and stores their answers.

    node scripts/build.mjs && node scripts/reference/foreign-vectors.mjs /tmp/vectors.csv
    python3 -m venv .cache/venv-foreign && .cache/venv-foreign/bin/pip install xgboost==3.2.0 lightgbm==4.7.0 \
        scikit-learn skl2onnx onnxmltools onnx onnxruntime
    .cache/venv-foreign/bin/python scripts/reference/foreign.py all /tmp/vectors.csv
    PYTHONPATH=<folder with xgboost 1.7.6> .cache/venv-foreign/bin/python scripts/reference/foreign.py xgboost
"""

import base64
import json
import pathlib
import sys

import numpy as np

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "foreign"
NAMES = ["a", "b", "c", "d", "e", "g"]
ROWS = 400
# Of the default features; the model of the journey.
CARD = [
    "amount",
    "hour",
    "night",
    "customer_transactions_1d",
    "customer_spend_7d_mean",
    "customer_spend_30d_max",
    "amount_to_customer_mean_30d",
    "amount_customer_zscore_30d",
    "customer_seconds_since_last_transaction",
    "terminal_fraud_rate_7d_delayed",
    "terminal_fraud_rate_30d_delayed",
]


def training_data():
    """Columns of several kinds: plain, with missing values, mostly zero, whole numbers, tiny, huge."""
    rng = np.random.default_rng(3)
    n = 4000
    x = rng.normal(size=(n, len(NAMES))).astype(np.float32)
    x[:, 1][rng.random(n) < 0.3] = np.nan
    x[:, 2][rng.random(n) < 0.7] = 0
    x[:, 3] = rng.integers(-4, 9, n)
    x[:, 4] *= np.float32(1e-6)
    x[:, 5] = np.exp(8 * x[:, 5])
    pull = x[:, 0] + np.nan_to_num(x[:, 1], nan=1.0) + 2 * (x[:, 2] == 0) + 0.3 * x[:, 3] + 2e5 * x[:, 4]
    y = (pull + rng.normal(size=n) > 4.5).astype(int)
    return x, y


def asked_rows(x):
    """Rows of the training, with missing and extreme values strewn in."""
    rng = np.random.default_rng(5)
    rows = x[:ROWS].copy()
    ends = np.array([np.nan, 0, -0.0, 3.4e38, -3.4e38, 1e-38, -1e-45], dtype=np.float32)
    strewn = rng.random(rows.shape) < 0.2
    rows[strewn] = rng.choice(ends, strewn.sum())
    # The libraries cut a category's fraction off; Sentinel has no category of one half.
    rows[:, 3] = np.trunc(rows[:, 3])
    return rows


def categorical(x):
    """Column d as categories from 0 up; the asked rows hold others too, which are in no set."""
    x = x.copy()
    x[:, 3] = np.abs(x[:, 3])
    return x


def xgboost_models(x, y):
    """name, file ending, booster, arguments of predict."""
    import xgboost as xgb

    version = xgb.__version__.split(".")
    data = xgb.DMatrix(x, y, feature_names=NAMES)
    small = {"max_depth": 3, "eta": 0.3, "nthread": 1, "seed": 1, "tree_method": "hist"}

    def train(rounds=6, data=data, **more):
        return xgb.train({**small, "objective": "binary:logistic", **more}, data, rounds)

    if version[0] != "3":
        mark = "".join(version[:2])
        yield f"xgboost-{mark}", "json", train(), {}
        yield f"xgboost-{mark}-logitraw", "json", train(3, objective="binary:logitraw", base_score=0.3), {}
        return
    yield "xgboost-logistic", "json", train(), {}
    yield "xgboost-binary", "ubj", train(), {}
    yield "xgboost-logitraw", "json", train(3, objective="binary:logitraw"), {}
    yield "xgboost-reg-logistic", "json", train(3, objective="reg:logistic", base_score=0.2), {}
    yield "xgboost-dart", "json", train(8, booster="dart", rate_drop=0.4), {}
    yield "xgboost-parallel", "json", train(3, num_parallel_tree=2, subsample=0.6), {}
    yield "xgboost-deep", "json", train(2, max_depth=12, min_child_weight=0.1), {}
    yield "xgboost-nameless", "json", train(2, data=xgb.DMatrix(x, y)), {}
    kinds = ["q", "q", "q", "c", "q", "q"]
    for name, onehot in (("subsets", 1), ("one-hot", 99)):
        whole = categorical(x)
        types = {"feature_names": NAMES, "feature_types": kinds, "enable_categorical": True}
        yield f"xgboost-{name}", "json", train(4, xgb.DMatrix(whole, y, **types), max_cat_to_onehot=onehot), {}
    stopped = xgb.train(
        {**small, "objective": "binary:logistic", "eta": 1.0},
        xgb.DMatrix(x[:600], y[:600], feature_names=NAMES),
        60,
        evals=[(xgb.DMatrix(x[600:], y[600:], feature_names=NAMES), "later")],
        early_stopping_rounds=5,
        verbose_eval=False,
    )
    yield "xgboost-stopped-early", "json", stopped, {"iteration_range": (0, stopped.best_iteration + 1)}
    print("stopped at", stopped.best_iteration, "of", stopped.num_boosted_rounds())


def lightgbm_models(x, y):
    import lightgbm as lgb

    small = {"objective": "binary", "num_leaves": 8, "verbose": -1, "num_threads": 1, "seed": 1, "deterministic": True}

    def train(rounds=6, **more):
        params = {**small, **more}
        return lgb.train(params, lgb.Dataset(x, y, feature_name=NAMES, params=params), rounds)

    yield "lightgbm-binary", train()
    yield "lightgbm-sigmoid", train(4, sigmoid=2.5)
    yield "lightgbm-no-missing", train(4, use_missing=False)
    yield "lightgbm-forest", train(5, boosting="rf", bagging_freq=1, bagging_fraction=0.6)
    yield "lightgbm-dart", train(6, boosting="dart", drop_rate=0.5)
    yield "lightgbm-cross-entropy", train(3, objective="cross_entropy")
    whole = lgb.Dataset(categorical(x), y, feature_name=NAMES, categorical_feature=[3], params=small)
    yield "lightgbm-categories", lgb.train({**small, "max_cat_to_onehot": 1, "cat_smooth": 1}, whole, 4)
    yield "lightgbm-goss", train(4, data_sample_strategy="goss", num_leaves=31, max_depth=-1)
    stump = {**small, "min_data_in_leaf": 10_000}
    yield "lightgbm-one-leaf", lgb.train(stump, lgb.Dataset(x, y, feature_name=NAMES, params=stump), 2)


def refused_models(x, y):
    """Sound models that Sentinel cannot score: file name, booster."""
    import lightgbm as lgb
    import xgboost as xgb

    three = np.arange(len(y)) % 3
    category = np.abs(np.nan_to_num(x[:, 3:4]))
    small = {"max_depth": 2, "nthread": 1, "seed": 1, "tree_method": "hist"}

    def boost(data, **more):
        return xgb.train({**small, **more}, data, 1)

    data = xgb.DMatrix(x[:, :2], y)
    yield "refused-xgboost-squared-error.json", boost(data, objective="reg:squarederror")
    yield "refused-xgboost-classes.json", boost(xgb.DMatrix(x[:, :2], three), objective="multi:softprob", num_class=3)
    linear = xgb.train({"booster": "gblinear", "objective": "binary:logistic"}, data, 1)
    yield "refused-xgboost-linear.json", linear
    leaf = {"num_leaves": 3, "verbose": -1, "num_threads": 1, "seed": 1}

    def grow(columns=x[:, :3], labels=y, categorical=(), **more):
        params = {**leaf, "objective": "binary", **more}
        return lgb.train(params, lgb.Dataset(columns, labels, params=params, categorical_feature=list(categorical)), 2)

    yield "refused-lightgbm-zero-as-missing.txt", grow(zero_as_missing=True, num_leaves=8)
    yield "refused-lightgbm-classes.txt", grow(labels=three, objective="multiclass", num_class=3)
    yield "refused-lightgbm-linear-leaves.txt", grow(linear_tree=True)
    yield "refused-lightgbm-regression.txt", grow(objective="regression")
    yield "refused-lightgbm-large-category.txt", grow(category + 70_000, categorical=[0])


def onnx_models(x, y):
    """name, model, what stands for a missing value (None: NaN), whether the output is log-odds."""
    import lightgbm as lgb
    import onnx
    import onnxmltools
    import xgboost as xgb
    from onnx import TensorProto, helper, numpy_helper
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    whole = np.nan_to_num(x, nan=0.0)
    opset = {"": 17, "ai.onnx.ml": 3}

    def sk(model, columns=whole, zipmap=False):
        model.fit(columns, y)
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        return to_onnx(model, x[:1], options={id(last): {"zipmap": zipmap}}, target_opset=opset)

    yield "onnx-logistic", sk(make_pipeline(StandardScaler(), LogisticRegression()), zipmap=True), 0.0, False
    imputed = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    yield "onnx-imputed", sk(imputed, columns=x), None, False
    network = MLPClassifier((8, 4), max_iter=40, random_state=1)
    yield "onnx-network", sk(make_pipeline(StandardScaler(), network)), 0.0, False
    yield "onnx-forest", sk(RandomForestClassifier(4, max_depth=4, random_state=1)), 0.0, False
    yield "onnx-boosting", sk(GradientBoostingClassifier(n_estimators=4, random_state=1)), 0.0, False
    boosted = xgb.XGBClassifier(n_estimators=4, max_depth=3, n_jobs=1).fit(x, y)
    inputs = [("input", Floats([None, len(NAMES)]))]
    yield "onnx-xgboost", onnxmltools.convert_xgboost(boosted, initial_types=inputs), None, False
    leaves = lgb.LGBMClassifier(n_estimators=4, num_leaves=8, verbose=-1, n_jobs=1).fit(x, y)
    yield "onnx-lightgbm", onnxmltools.convert_lightgbm(leaves, initial_types=inputs), None, False
    apart = LogisticRegression().fit(whole[:, :3], y)
    columns = [(name, FloatTensorType([None, 1])) for name in NAMES[:3]]
    many = to_onnx(make_pipeline(StandardScaler(), apart).fit(whole[:, :3], y), initial_types=columns, target_opset=opset)
    yield "onnx-columns", many, 0.0, False
    # As torch.onnx.export writes nn.Sequential(Linear, ReLU, Linear): weights transposed, log-odds [N, 1], its own names.
    rng = np.random.default_rng(9)
    tensors = {"0.weight": (5, len(NAMES)), "0.bias": (5,), "2.weight": (1, 5), "2.bias": (1,)}
    constants = [
        numpy_helper.from_array(rng.normal(scale=0.1, size=shape).astype(np.float32), name)
        for name, shape in tensors.items()
    ]
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["vector", "0.weight", "0.bias"], ["h"], alpha=1.0, beta=1.0, transB=1),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("Gemm", ["r", "2.weight", "2.bias"], ["score"], alpha=1.0, beta=1.0, transB=1),
        ],
        "main_graph",
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", len(NAMES)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])],
        constants,
    )
    yield "onnx-torch", helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), 0.0, True


def predict_onnx(model, rows, missing, is_margin):
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    rows = np.clip(rows if missing is None else np.nan_to_num(rows, nan=missing), np.float32(-1e15), np.float32(1e15))
    inputs = session.get_inputs()
    feed = {inputs[0].name: rows} if len(inputs) == 1 else {put.name: rows[:, i : i + 1] for i, put in enumerate(inputs)}
    answer = session.run(None, feed)[-1]
    if isinstance(answer, list):
        return np.array([row[1] for row in answer], dtype=np.float64)
    scores = np.asarray(answer, dtype=np.float64).reshape(len(rows), -1)[:, -1]
    return 1 / (1 + np.exp(-scores)) if is_margin else scores


def predict_xgboost(booster, rows, names=True, **more):
    import xgboost as xgb

    data = xgb.DMatrix(rows, feature_names=NAMES if names else None)
    margin = booster.predict(data, output_margin=True, **more).astype(np.float64)
    return 1 / (1 + np.exp(-margin))


def predict_lightgbm(booster, rows):
    return booster.predict(rows.astype(np.float64), num_threads=1)


def card_models(path):
    """XGBoost, LightGBM on the features of the test world, its first 60 % of days."""
    import lightgbm as lgb
    import pandas as pd
    import xgboost as xgb
    from skl2onnx import to_onnx
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = pd.read_csv(path)
    earlier = table.iloc[: int(0.6 * len(table))]
    x, y = earlier[CARD].astype(np.float32), earlier["is_fraud"]
    params = {"objective": "binary:logistic", "max_depth": 4, "eta": 0.2, "nthread": 1, "tree_method": "hist"}
    xgb.train(params, xgb.DMatrix(x, y), 25).save_model(OUT / "card-xgboost.json")
    params = {"objective": "binary", "num_leaves": 12, "verbose": -1, "num_threads": 1, "deterministic": True}
    lgb.train(params, lgb.Dataset(x, y, params=params), 25).save_model(OUT / "card-lightgbm.txt")
    logistic = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000)).fit(x.to_numpy(), y)
    whole = {id(logistic.steps[-1][1]): {"zipmap": False}}
    graph = to_onnx(logistic, x.to_numpy()[:1], options=whole, target_opset={"": 17, "ai.onnx.ml": 3})
    graph.metadata_props.add(key="feature_names", value=json.dumps(CARD))
    (OUT / "card-logistic.onnx").write_bytes(graph.SerializeToString())


def b64(values, kind):
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode()


def store(answers, library):
    """Keeps what other runs of this script stored."""
    file = OUT / "answers.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept["columns"] = NAMES
    kept.setdefault("models", {}).update(answers)
    kept.setdefault("libraries", {}).update(library)
    kept["rows"] = b64(asked_rows(training_data()[0]), "<f4")
    file.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def make(what, vectors=None):
    OUT.mkdir(parents=True, exist_ok=True)
    x, y = training_data()
    rows = asked_rows(x)
    if what in ("all", "xgboost"):
        import xgboost as xgb

        answers = {}
        for name, ending, booster, more in xgboost_models(x, y):
            booster.save_model(OUT / f"{name}.{ending}")
            scores = predict_xgboost(booster, rows, names="nameless" not in name, **more)
            answers[name] = {"file": f"{name}.{ending}", "scores": b64(scores, "<f8")}
        store(answers, {f"xgboost {xgb.__version__}": True})
    if what in ("all", "lightgbm"):
        import lightgbm as lgb

        answers = {}
        for name, booster in lightgbm_models(x, y):
            booster.save_model(OUT / f"{name}.txt")
            answers[name] = {"file": f"{name}.txt", "scores": b64(predict_lightgbm(booster, rows), "<f8")}
        store(answers, {f"lightgbm {lgb.__version__}": True})
    if what in ("all", "onnx"):
        import onnxruntime

        answers = {}
        for name, model, missing, is_margin in onnx_models(x, y):
            file = OUT / f"{name}.onnx"
            file.write_bytes(model.SerializeToString())
            scores = predict_onnx(str(file), rows, missing, is_margin)
            options = {"missing": missing, "isMargin": is_margin}
            answers[name] = {"file": file.name, "options": options, "scores": b64(scores, "<f8")}
        store(answers, {f"onnxruntime {onnxruntime.__version__}": True})
    if what == "all":
        for name, booster in refused_models(x, y):
            booster.save_model(OUT / name)
    if vectors is not None:
        card_models(vectors)


if __name__ == "__main__":
    make(*sys.argv[1:])
