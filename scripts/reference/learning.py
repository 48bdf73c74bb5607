"""Answers of scikit-learn (isolation forest, metrics, isotonic regression) for the tests in test/reference/.

    python3 -m venv .cache/venv && .cache/venv/bin/pip install xgboost scikit-learn numpy
    .cache/venv/bin/python scripts/reference/learning.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.ensemble import IsolationForest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss
from sklearn.metrics import precision_recall_curve, precision_score, recall_score, roc_auc_score, roc_curve

OUT = pathlib.Path(__file__).parents[2] / "test" / "reference" / "data"
BUDGET_FPR = 0.05
THRESHOLD = 0.5
TOP_CARDS = 5


def write(name, answers):
    answers = {"scikit-learn": sklearn.__version__, **answers}
    (OUT / f"{name}.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")


def forest():
    rng = np.random.default_rng(7)
    x = np.round(rng.normal(size=(1200, 5)) * [1, 3, 0.5, 10, 1], 3)
    x[:40] = np.round(x[:40] * 3 + 1, 3)
    x[:, 4] = np.round(np.exp(x[:, 4]), 3)
    x = x.astype(np.float32)
    scores = [-IsolationForest(n_estimators=100, max_samples=256, random_state=s).fit(x).score_samples(x) for s in (1, 2)]
    write("iforest", {"x": [round(float(v), 3) for v in x.ravel(order="F")], "scores": [[round(float(v), 6) for v in s] for s in scores]})


def card_precision(scores, y, card, day, k):
    """The Handbook's card_precision_top_k, cards of equal score in order of their number."""
    found, daily = set(), []
    for d in sorted(set(day)):
        best = {}
        for s, label, c in [(scores[i], y[i], card[i]) for i in range(len(y)) if day[i] == d and card[i] not in found]:
            top, fraud = best.get(c, (-1.0, 0))
            best[c] = (max(top, s), max(fraud, label))
        head = sorted(best, key=lambda c: (-best[c][0], c))[:k]
        hits = [c for c in head if best[c][1] == 1]
        found |= set(hits)
        daily.append(len(hits) / k)
    return float(np.mean(daily))


def case(name, seed, rows, digits, rate):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < rate).astype(int)
    scores = np.round(1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * y - 1))), digits)
    card = rng.integers(0, rows // 8, rows)
    day = rng.integers(3, 9, rows)
    fpr, tpr, _ = roc_curve(y, scores, drop_intermediate=False)
    precision, recall, _ = precision_recall_curve(y, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    flags = (scores.astype(np.float32) >= np.float32(THRESHOLD)).astype(int)
    return {
        "name": name,
        "scores": scores.tolist(),
        "y": y.tolist(),
        "card": card.tolist(),
        "day": day.tolist(),
        "rocAuc": roc_auc_score(y, scores),
        "averagePrecision": average_precision_score(y, scores),
        "logLoss": log_loss(y, scores),
        "brier": brier_score_loss(y, scores),
        "threshold": THRESHOLD,
        "precision": precision_score(y, flags),
        "recall": recall_score(y, flags),
        "f1": f1_score(y, flags),
        "maxF1": float(f1.max()),
        "fpr": BUDGET_FPR,
        "recallAtFpr": float(tpr[fpr <= BUDGET_FPR].max()),
        "k": TOP_CARDS,
        "cardPrecision": card_precision(scores, y, card, day, TOP_CARDS),
    }


def metrics():
    write("metrics", {"cases": [case("many ties", 1, 600, 2, 0.1), case("few ties", 2, 500, 6, 0.03), case("heavy ties", 3, 300, 1, 0.4)]})


def isotonic():
    cases = []
    for seed, rows, digits in ((1, 400, 4), (2, 300, 1)):
        rng = np.random.default_rng(seed)
        x = np.round(rng.normal(size=rows) * 2, digits)
        y = (rng.random(rows) < 1 / (1 + np.exp(-x))).astype(int)
        fit = IsotonicRegression(out_of_bounds="clip").fit(x, y)
        cases.append({"x": x.tolist(), "y": y.tolist(), "knotX": fit.X_thresholds_.tolist(), "knotY": fit.y_thresholds_.tolist()})
    write("isotonic", {"cases": cases})


forest()
metrics()
isotonic()
