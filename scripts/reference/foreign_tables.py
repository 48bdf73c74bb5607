"""Trains models of other libraries on a table with categories, missing and unseen values, and writes their files and answers.

    python scripts/reference/foreign_tables.py FOLDER ROWS [LARGE]

The answers are each library's own, on the raw table; `rows.f32` holds the same rows as Sentinel's vectors. With LARGE the models are
of the usual size. The stored ones are of the newest and the oldest libraries that scripts/bench-setup names:

    .cache/bench-venv/bin/python scripts/reference/foreign_tables.py test/reference/foreign/tables-newest 300
    .cache/bench-venv-oldest/bin/python scripts/reference/foreign_tables.py test/reference/foreign/tables-oldest 300
"""

import json
import pathlib
import pickle
import sys
import warnings

import catboost as cb
import lightgbm as lgb
import numpy as np
import pandas as pd
import sklearn
import xgboost as xgb

warnings.filterwarnings("ignore")

NAMES = ["amount", "channel", "code", "level", "size"]
# The lists of the pipeline's category features, in an order that is not the alphabet's.
CHANNELS = ["web", "shop", "atm", "phone"]
CODES = [12, 3, 40, 7]
LEVELS = ["mid", "low", "high"]
FEATURES = [
    {"kind": "column", "name": "amount", "column": "amount"},
    {"kind": "category", "name": "channel", "column": "channel", "values": CHANNELS},
    {"kind": "category", "name": "code", "column": "code", "values": [str(code) for code in CODES]},
    {"kind": "category", "name": "level", "column": "level", "values": LEVELS},
    {"kind": "column", "name": "size", "column": "size"},
]
XGB = tuple(int(part) for part in xgb.__version__.split(".")[:2])
SKLEARN = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
FILL = -999


def raw_table(rows, seed, unseen):
    """The table as its owner has it; with `unseen`, values that no training has seen."""
    rng = np.random.default_rng(seed)
    extra = ["fax"] if unseen else []
    frame = pd.DataFrame(
        {
            "amount": np.exp(2 * rng.normal(size=rows)).astype(np.float32).astype(float),
            "channel": rng.choice(CHANNELS + extra, rows),
            "code": rng.choice(CODES + ([99] if unseen else []), rows),
            "level": rng.choice(LEVELS, rows),
            "size": rng.normal(size=rows).astype(np.float32).astype(float),
        }
    )
    for name, share in [("amount", 0.1), ("channel", 0.05), ("code", 0.05), ("level", 0.05), ("size", 0.2)]:
        frame[name] = frame[name].astype(object if name in ("channel", "level") else float)
        frame.loc[rng.random(rows) < share, name] = None if name in ("channel", "level") else np.nan
    return frame


def labels_of(frame, seed):
    rng = np.random.default_rng(seed)
    pull = (
        0.8 * np.log(frame["amount"]).fillna(1)
        + frame["channel"].map({"web": 1.2, "shop": -1, "atm": 0.2, "phone": -0.4}).fillna(0.8).astype(float)
        + frame["code"].map({12: -0.6, 3: 1.1, 40: 0.1, 7: -1.2}).fillna(0.3).astype(float)
        + frame["level"].map({"low": -0.7, "mid": 0, "high": 1.2}).fillna(0.4).astype(float)
        + frame["size"].fillna(-1)
    )
    return (pull + rng.normal(size=len(frame)) > 1.8).astype(int).to_numpy()


def vectors(frame):
    """As Sentinel's features have the table: the place of a value in the list, one more for any other, NaN where missing."""

    def places(column, values):
        found = {value: place for place, value in enumerate(values)}
        return np.array([np.nan if pd.isna(value) else found.get(value, len(values)) for value in frame[column]])

    columns = [
        frame["amount"].to_numpy(dtype=float),
        places("channel", CHANNELS),
        places("code", CODES),
        places("level", LEVELS),
        frame["size"].to_numpy(dtype=float),
    ]
    return np.column_stack(columns).astype(np.float32)


def as_categories(frame, unseen=True):
    """Category columns as pandas has them; with `unseen` off, values of no list are missing, which XGBoost refuses otherwise."""
    made = frame.copy()
    known = {"channel": sorted(CHANNELS), "code": sorted(CODES), "level": ["low", "mid", "high"]}
    for name, values in known.items():
        inside = made[name].where(made[name].isin(values)) if not unseen else made[name]
        seen = values + [v for v in pd.unique(inside.dropna()) if v not in values]
        made[name] = pd.Categorical(inside, categories=seen, ordered=name == "level")
    return made


class Store:
    def __init__(self, folder, rows, large):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.size = 120 if large else 6
        self.depth = 6 if large else 3
        self.train = raw_table(20_000 if large else 4000, 1, False)
        self.y = labels_of(self.train, 2)
        self.asked = raw_table(rows, 3, True)
        self.x, self.rows = vectors(self.train), vectors(self.asked)
        (self.folder / "rows.f32").write_bytes(self.rows.astype("<f4").tobytes())
        self.index = {"columns": NAMES, "features": FEATURES, "libraries": {}, "models": {}, "refused": {}}

    def keep(self, name, ending, save, scores, **options):
        save(str(self.folder / f"{name}.{ending}"))
        scores = np.asarray(scores, dtype=np.float64)
        (self.folder / f"{name}.f64").write_bytes(scores.astype("<f8").tobytes())
        self.index["models"][name] = {"file": f"{name}.{ending}", "options": options}

    def refuse(self, name, save, says):
        save(str(self.folder / name))
        self.index["refused"][name] = says

    def close(self):
        (self.folder / "index.json").write_text(json.dumps(self.index, indent=1, sort_keys=True) + "\n")


def filled(x):
    return np.nan_to_num(x, nan=FILL).astype(np.float32)


def xgboost_models(store):
    store.index["libraries"]["xgboost"] = xgb.__version__
    x, y, rows = store.x, store.y, store.rows
    base = {"n_estimators": store.size, "max_depth": store.depth, "n_jobs": 1, "random_state": 1, "tree_method": "hist"}

    def fit(data=x, more=None, **options):
        return xgb.XGBClassifier(**{**base, **options}).fit(data, y, verbose=False, **(more or {}))

    def keep(name, model, data=rows, **options):
        store.keep(name, "json", model.save_model, model.predict_proba(data)[:, 1], **options)

    keep("xgboost-nan", fit())
    keep("xgboost-missing-code", fit(filled(x), missing=FILL), filled(rows))
    keep("xgboost-filled", fit(filled(x)), filled(rows), missing=FILL)
    keep("xgboost-dart", fit(booster="dart", rate_drop=0.2))
    forest = xgb.XGBRFClassifier(**base).fit(x, y)
    store.keep("xgboost-forest", "ubj", forest.save_model, forest.predict_proba(rows)[:, 1])
    types = {"feature_types": ["q", "c", "c", "c", "q"], "feature_names": NAMES, "enable_categorical": True}
    params = {"objective": "binary:logistic", "max_depth": store.depth, "max_cat_to_onehot": 2, "nthread": 1}
    native = xgb.train({**params, "tree_method": "hist"}, xgb.DMatrix(x, y, **types), store.size)
    # A value of no list is a number of its own, which no set has.
    store.keep("xgboost-native", "json", native.save_model, native.predict(xgb.DMatrix(rows, **types)))
    store.keep("xgboost-native-ubj", "ubj", native.save_model, native.predict(xgb.DMatrix(rows, **types)))
    stopping = {"early_stopping_rounds": 2, "learning_rate": 0.6, "n_estimators": 3 * store.size}
    # Labels of which some are wrong are soon learned too well.
    judged = np.where(np.arange(400) % 12 == 0, 1 - y[:400], y[:400])
    stale = fit(more={"eval_set": [(x[:400], judged)]}, **stopping)
    keep("xgboost-stale", stale)
    everything = stale.get_booster().predict(xgb.DMatrix(rows), iteration_range=(0, stale.get_booster().num_boosted_rounds()))
    store.keep("xgboost-stale-all", "json", stale.save_model, everything, rounds="all")
    if XGB >= (3, 1):
        frame = fit(as_categories(store.train), enable_categorical=True, max_cat_to_onehot=2)
        keep("xgboost-frame", frame, as_categories(store.asked, unseen=False), unseenMissing=True)
        store.keep(
            "xgboost-frame-ubj",
            "ubj",
            frame.save_model,
            frame.predict_proba(as_categories(store.asked, unseen=False))[:, 1],
            unseenMissing=True,
        )
    three = xgb.XGBClassifier(**{**base, "n_estimators": 2}).fit(x, np.arange(len(y)) % 3)
    store.refuse("xgboost-classes.json", three.save_model, "multi:softprob")
    plain = fit(n_estimators=2)
    store.refuse("xgboost-dump.json", lambda path: plain.get_booster().dump_model(path, dump_format="json"), "dump of XGBoost")
    store.refuse("xgboost-dump.txt", lambda path: plain.get_booster().dump_model(path), "dump of XGBoost")
    store.refuse(
        "xgboost-config.json",
        lambda path: pathlib.Path(path).write_text(plain.get_booster().save_config()),
        "save_config",
    )


def lightgbm_models(store):
    store.index["libraries"]["lightgbm"] = lgb.__version__
    x, y, rows = store.x, store.y, store.rows
    base = {"n_estimators": store.size, "num_leaves": 2**store.depth, "n_jobs": 1, "random_state": 1, "verbose": -1}

    def keep(name, model, data, **options):
        store.keep(name, "txt", model.booster_.save_model, model.predict_proba(data)[:, 1], **options)

    def fit(data, more=None, **options):
        return lgb.LGBMClassifier(**{**base, **options}).fit(data, y, **(more or {}))

    table, asked = pd.DataFrame(x, columns=NAMES), pd.DataFrame(rows, columns=NAMES)
    frame, asked_frame = as_categories(store.train), as_categories(store.asked)
    keep("lightgbm-nan", fit(table), asked)
    keep("lightgbm-filled", fit(table.fillna(FILL)), asked.fillna(FILL), missing=FILL)
    keep("lightgbm-native", fit(table, {"categorical_feature": NAMES[1:4]}, max_cat_to_onehot=2), asked)
    keep("lightgbm-frame", fit(frame, max_cat_to_onehot=2), asked_frame)
    dart = fit(frame, boosting_type="dart", drop_rate=0.3)
    keep("lightgbm-frame-dart", dart, asked_frame)
    keep("lightgbm-frame-forest", fit(frame, boosting_type="rf", subsample=0.7, subsample_freq=1), asked_frame)
    # Categories as numbers: thresholds over pandas' own codes.
    numbers = lgb.train(
        {"objective": "binary", "num_leaves": 2**store.depth, "verbose": -1, "num_threads": 1},
        lgb.Dataset(frame[NAMES[1:4]], y, categorical_feature=[]),
        store.size,
    )
    store.keep("lightgbm-frame-numbers", "txt", numbers.save_model, numbers.predict(asked_frame[NAMES[1:4]]))
    # As `sentinel featurise` writes the vectors, and pandas makes categories of them.
    codes = table.copy()
    known = asked.copy()
    for name in NAMES[1:4]:
        codes[name] = codes[name].astype("category")
        known[name] = known[name].astype("category")
    keep("lightgbm-codes", fit(codes, max_cat_to_onehot=2), known, categories="codes")
    turned = lgb.LGBMClassifier(**base).fit(table, np.where(y == 1, "fraud", "genuine"))
    keep_turned = turned.predict_proba(asked)[:, list(turned.classes_).index("fraud")]
    store.keep("lightgbm-turned", "txt", turned.booster_.save_model, keep_turned, fraudClass="0")
    three = lgb.LGBMClassifier(**{**base, "n_estimators": 2}).fit(table, np.arange(len(y)) % 3)
    store.refuse("lightgbm-classes.txt", three.booster_.save_model, "3 classes")
    plain = fit(table, n_estimators=2)
    store.refuse(
        "lightgbm-dump.json",
        lambda path: pathlib.Path(path).write_text(json.dumps(plain.booster_.dump_model())),
        "dump of LightGBM",
    )
    other = as_categories(store.train.assign(channel=store.train["channel"].replace({"phone": "fax"})))
    store.refuse("lightgbm-other-value.txt", fit(other, n_estimators=4).booster_.save_model, '"fax" of channel')


def catboost_models(store):
    store.index["libraries"]["catboost"] = cb.__version__
    x, y, rows = store.x, store.y, store.rows
    base = {"iterations": store.size, "depth": store.depth, "thread_count": 1, "random_seed": 1, "verbose": 0}
    base["allow_writing_files"] = False

    def fit(data, labels=y, **options):
        return cb.CatBoostClassifier(**{**base, **options}).fit(pd.DataFrame(data, columns=NAMES), labels)

    def keep(name, model, data=rows, column=1, **options):
        scores = model.predict_proba(pd.DataFrame(data, columns=NAMES))[:, column]
        store.keep(name, "json", lambda path: model.save_model(path, format="json"), scores, **options)

    keep("catboost-nan", fit(x))
    keep("catboost-nan-max", fit(x, nan_mode="Max"))
    keep("catboost-filled", fit(filled(x)), filled(rows), missing=FILL)
    keep("catboost-deep", fit(x, depth=store.depth + 3, iterations=3))
    keep("catboost-bias", fit(x, loss_function="CrossEntropy", boost_from_average=True))
    keep("catboost-leaves", fit(x, grow_policy="Lossguide", max_leaves=9))
    keep("catboost-levels", fit(x, grow_policy="Depthwise"))
    keep("catboost-labels", fit(x, np.where(y == 1, "fraud", "genuine")), column=0)
    store.refuse(
        "catboost-unknown-labels.json",
        lambda path: fit(x, np.where(y == 1, "A", "B"), iterations=2).save_model(path, format="json"),
        "cannot be told",
    )
    table = store.train.fillna({"channel": "none", "level": "none"}).drop(columns=["code"])
    categories = cb.CatBoostClassifier(**{**base, "iterations": 3}, cat_features=["channel", "level"]).fit(table, y)
    store.refuse("catboost-categories.json", lambda path: categories.save_model(path, format="json"), "categories")
    store.refuse("catboost.cbm", lambda path: fit(x, iterations=2).save_model(path), "CatBoost's own format")
    three = fit(x, np.arange(len(y)) % 3, iterations=2)
    store.refuse("catboost-classes.json", lambda path: three.save_model(path, format="json"), "MultiClass")


def onnx_models(store):
    import onnx
    import onnxruntime
    import skl2onnx
    from onnx import TensorProto, helper
    from skl2onnx import to_onnx
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # skl2onnx 1.20 hands NumPy's whole numbers on to onnx, which takes Python's only.
    container = skl2onnx.common._container.ModelComponentContainer
    add_node = container.add_node

    def add_plain(self, *given, **attributes):
        def plain(value):
            return [int(v) if isinstance(v, (np.integer, np.bool_, bool)) else v for v in value] if isinstance(value, list) else value

        return add_node(self, *given, **{name: plain(value) for name, value in attributes.items()})

    container.add_node = add_plain
    libraries = {"scikit-learn": sklearn, "skl2onnx": skl2onnx, "onnxruntime": onnxruntime}
    store.index["libraries"].update({name: module.__version__ for name, module in libraries.items()})
    x, y, rows = store.x, store.y, store.rows
    whole, asked = filled(x), filled(rows)
    opset = {"": 17, "ai.onnx.ml": 3}
    words = np.where(y == 1, "fraud", "genuine")

    def save(model, path):
        pathlib.Path(path).write_bytes(model.SerializeToString())

    def keep(name, model, labels=y, data=whole, told=asked, zipmap=False, fraud=1, **options):
        model.fit(data, labels)
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        graph = to_onnx(model, data[:1], options={id(last): {"zipmap": zipmap}}, target_opset=opset)
        graph.metadata_props.add(key="feature_names", value=json.dumps(NAMES))
        column = list(model.classes_).index(fraud)
        store.keep(name, "onnx", lambda path: save(graph, path), model.predict_proba(told)[:, column], **options)
        return graph

    trees = {"n_estimators": max(5, store.size // 4), "max_depth": 2 * store.depth, "random_state": 1}
    keep("sklearn-forest", RandomForestClassifier(**trees), missing=FILL)
    keep("sklearn-forest-zipmap", RandomForestClassifier(**trees), zipmap=True, missing=FILL)
    keep("sklearn-forest-words", RandomForestClassifier(**trees), words, fraud="fraud", missing=FILL)
    keep("sklearn-extra", ExtraTreesClassifier(**trees), zipmap=True, missing=FILL)
    boosted = {"max_iter": store.size, "max_depth": store.depth, "random_state": 1}
    keep("sklearn-hist", HistGradientBoostingClassifier(**boosted), data=x, told=rows)
    keep("sklearn-hist-zipmap", HistGradientBoostingClassifier(**boosted), data=x, told=rows, zipmap=True)
    keep("sklearn-hist-words", HistGradientBoostingClassifier(**boosted), words, x, rows, zipmap=True, fraud="fraud")
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    keep("sklearn-logistic-words", logistic, words, zipmap=True, fraud="fraud", missing=FILL)
    # "auto", which scikit-learn had until 1.7, is written as "multinomial" is.
    ovr = {"multi_class": "ovr"} if SKLEARN < (1, 7) else {}
    logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, **ovr))
    logistic.fit(whole, y)
    last = {id(logistic.steps[-1][1]): {"zipmap": False, "raw_scores": True}}
    raw = to_onnx(logistic, whole[:1], options=last, target_opset=opset)
    raw.metadata_props.add(key="feature_names", value=json.dumps(NAMES))
    scores = logistic.predict_proba(asked)[:, 1]
    store.keep("sklearn-logistic-raw", "onnx", lambda path: save(raw, path), scores, missing=FILL, isMargin=True)

    # Two logits of a network's head, as torch exports a module that ends before its softmax.
    rng = np.random.default_rng(4)
    weights = (0.05 * rng.normal(size=(5, 2))).astype(np.float32)
    bias = np.array([0.4, -0.9], dtype=np.float32)

    def head(columns, output=TensorProto.FLOAT, kind=np.float32):
        make = onnx.numpy_helper.from_array
        return helper.make_model(
            helper.make_graph(
                [
                    helper.make_node("Clip", ["vector", "low", "high"], ["cut"]),
                    helper.make_node("Gemm", ["cut", "w", "b"], ["logits"]),
                ],
                "main_graph",
                [helper.make_tensor_value_info("vector", output, ["batch", 5])],
                [helper.make_tensor_value_info("logits", output, ["batch", columns])],
                [
                    make(weights[:, :columns].astype(kind), "w"),
                    make(bias[:columns].astype(kind), "b"),
                    make(np.array(-50, dtype=kind), "low"),
                    make(np.array(50, dtype=kind), "high"),
                ],
            ),
            opset_imports=[helper.make_opsetid("", 17)],
            ir_version=8,
        )

    cut = np.clip(np.nan_to_num(rows, nan=0), -50, 50).astype(np.float64)
    z = cut @ weights.astype(np.float64) + bias
    two = 1 / (1 + np.exp(z[:, 0] - z[:, 1]))
    store.keep("logits-two", "onnx", lambda path: save(head(2), path), two, missing=0, isMargin=True)
    first = 1 / (1 + np.exp(-z[:, 0]))
    store.keep("logits-one", "onnx", lambda path: save(head(1), path), first, missing=0, isMargin=True)
    other = 1 - two
    store.keep("logits-two-first", "onnx", lambda path: save(head(2), path), other, missing=0, isMargin=True, fraudClass="0")
    store.refuse("float16.onnx", lambda path: save(head(2, TensorProto.FLOAT16, np.float16), path), "float16")
    three = RandomForestClassifier(n_estimators=2, max_depth=2).fit(whole, np.arange(len(y)) % 3)
    store.refuse("sklearn-classes.onnx", lambda path: save(to_onnx(three, whole[:1]), path), "3 classes")
    unknown = RandomForestClassifier(n_estimators=2, max_depth=2).fit(whole, np.where(y == 1, "A", "B"))
    store.refuse("sklearn-unknown.onnx", lambda path: save(to_onnx(unknown, whole[:1]), path), "cannot be told")
    store.refuse("pickle.pkl", lambda path: pathlib.Path(path).write_bytes(pickle.dumps({"a": 1})), "pickle")


if __name__ == "__main__":
    made = Store(sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3)
    xgboost_models(made)
    lightgbm_models(made)
    catboost_models(made)
    onnx_models(made)
    made.close()
