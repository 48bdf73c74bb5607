"""Makes test/reference/evidence.json: answers of scikit-learn, statsmodels and SciPy for the evidence and drift tests.

Run: python scripts/reference/evidence.py  (needs scikit-learn, statsmodels, scipy; versions are stored in the file)
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
import statsmodels
from scipy import stats
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_score, roc_curve
from statsmodels.stats.contingency_tables import mcnemar

rng = np.random.default_rng(20261121)


def ranking_cases():
    cases = []
    for n, levels, prevalence in [(12, 3, 0.4), (200, 10, 0.1), (200, 0, 0.05), (400, 2, 0.2), (60, 1, 0.5)]:
        y = (rng.random(n) < prevalence).astype(int)
        y[:2] = [0, 1]
        score = rng.random(n) * 0.7 + y * rng.random(n) * 0.3
        if levels:
            score = np.round(score * levels) / levels
        weight = rng.integers(0, 4, n).astype(float)
        weight[:2] = 1
        alert = score >= np.median(score)
        fpr, tpr, _ = roc_curve(y, score, sample_weight=weight, drop_intermediate=False)
        cases.append(
            {
                "y": y.tolist(),
                "score": score.tolist(),
                "weight": weight.tolist(),
                "threshold": float(np.median(score)),
                "average_precision": average_precision_score(y, score, sample_weight=weight),
                "fpr": fpr.tolist(),
                "tpr": tpr.tolist(),
                "precision": precision_score(y, alert, sample_weight=weight, zero_division=np.nan),
                "f1": f1_score(y, alert, sample_weight=weight),
                "brier": brier_score_loss(y, np.clip(score, 0, 1), sample_weight=weight),
            }
        )
    return cases


def mcnemar_cases():
    cases = []
    for b, c in [(0, 0), (1, 0), (3, 9), (10, 10), (12, 13), (5, 40), (60, 60), (300, 340), (480, 520), (900, 1100), (2000, 2000)]:
        exact = mcnemar([[50, b], [c, 60]], exact=True).pvalue if b + c else 1.0
        chi = mcnemar([[50, b], [c, 60]], exact=False, correction=False).pvalue if b + c else 1.0
        pmf = stats.binom.pmf(min(b, c), b + c, 0.5)
        mid = exact - pmf if b != c else 1 - pmf / 2
        cases.append({"onlyA": b, "onlyB": c, "exact": float(exact), "chi_square": float(chi), "mid_p": float(mid)})
    return cases


def normal_cases():
    z = [0.0, 0.1, 0.5, 1.0, 1.96, 2.9, 3.0, 3.1, 4.5, 6.0, 9.0]
    p = [1e-6, 0.001, 0.025, 0.2, 0.5, 0.8, 0.975, 0.999]
    return {
        "z": z,
        "tail": [float(2 * stats.norm.sf(v)) for v in z],
        "p": p,
        "quantile": [float(stats.norm.ppf(v)) for v in p],
    }


def chi_square_cases():
    return [
        {"x": x, "df": df, "tail": float(stats.chi2.sf(x, df))}
        for x, df in [(0, 1), (0.5, 1), (3.84, 1), (9, 9), (1, 9), (30, 9), (19, 19), (60, 19), (200, 100), (90, 100), (500, 19)]
    ]


def ks_cases():
    cases = []
    for n, m, shift in [(50, 80, 0), (50, 80, 0.7), (200, 150, 0.15), (255, 400, 0), (256, 1000, 0.3)]:
        x = np.round(rng.normal(0, 1, n), 2)
        y = np.round(rng.normal(shift, 1, m), 2)
        result = stats.ks_2samp(x, y, method="asymp")
        cases.append({"x": x.tolist(), "y": y.tolist(), "statistic": float(result.statistic), "p": float(result.pvalue)})
    return cases


def kolmogorov_cases():
    t = [0.2, 0.4, 0.6, 0.8, 1.0, 1.18, 1.36, 1.63, 2.0, 3.0]
    return {"t": t, "tail": [float(stats.kstwobign.sf(v)) for v in t]}


def categorical_cases():
    cases = []
    for table in [[[10, 20, 30], [12, 18, 33]], [[100, 5, 40, 60], [40, 30, 10, 22]], [[500, 500], [30, 70]]]:
        chi2, p, df, _ = stats.chi2_contingency(table, correction=False)
        cases.append({"table": table, "statistic": float(chi2), "df": int(df), "p": float(p)})
    return cases


def share_cases():
    cases = []
    for a, n, b, m in [(0, 1000, 3, 50), (20, 1000, 7, 100), (500, 10000, 40, 1000), (30, 100, 30, 100), (5, 5000, 0, 200), (100, 5000, 0, 400)]:
        more = stats.fisher_exact([[b, m - b], [a, n - a]], alternative="greater" if b / m >= a / n else "less").pvalue
        cases.append({"a": a, "n": n, "b": b, "m": m, "p": float(min(1.0, 2 * more))})
    return cases


def benjamini_hochberg_cases():
    from statsmodels.stats.multitest import multipletests

    cases = []
    for p in [[0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216], [0.2], [0.01, 0.01, 0.5, 0.011], rng.random(30).tolist()]:
        cases.append({"p": p, "adjusted": multipletests(p, method="fdr_bh")[1].tolist()})
    return cases


answers = {
    "made_by": "scripts/reference/evidence.py",
    "versions": {"scikit-learn": sklearn.__version__, "statsmodels": statsmodels.__version__, "scipy": scipy.__version__},
    "ranking": ranking_cases(),
    "mcnemar": mcnemar_cases(),
    "normal": normal_cases(),
    "chi_square": chi_square_cases(),
    "ks": ks_cases(),
    "kolmogorov": kolmogorov_cases(),
    "categorical": categorical_cases(),
    "share": share_cases(),
    "benjamini_hochberg": benjamini_hochberg_cases(),
}
target = pathlib.Path(__file__).parents[2] / "test" / "reference" / "evidence.json"
target.parent.mkdir(parents=True, exist_ok=True)
target.write_text(json.dumps(answers, indent=1) + "\n")
print(target, target.stat().st_size)
