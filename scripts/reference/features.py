# Makes test/reference/features.json: a small seeded table and the Handbook's 15 features of it, computed with pandas.
#
#   python scripts/reference/features.py            (needs pandas and numpy)
#
# The windows are pandas' own time-based rolling sums, as in the Handbook's chapter 3; nothing here knows Sentinel's code.
import json
from pathlib import Path

import numpy as np
import pandas as pd

ROWS, DAYS, CUSTOMERS, TERMINALS = 900, 70, 6, 5
random = np.random.default_rng(20180401)
# Whole minutes, so that rows share instants and windows end exactly on rows; ten rows in a row share one.
minutes = np.sort(random.integers(0, DAYS * 1440, ROWS))
minutes[100:110] = minutes[100]
table = pd.DataFrame(
    {
        "transaction_id": np.arange(ROWS),
        "time": pd.Timestamp("2018-04-01") + pd.to_timedelta(minutes, unit="min"),
        "customer_id": random.integers(0, CUSTOMERS, ROWS),
        "terminal_id": random.integers(0, TERMINALS, ROWS),
        "amount": np.round(random.gamma(2.0, 30.0, ROWS), 2),
        "is_fraud": (random.random(ROWS) < 0.06).astype(int),
    }
)


def rolling(key: str, values: str, days: int) -> np.ndarray:
    """Sum of `values` over the key's rows in (t - days, t], rows of the same instant as far as they came before."""
    out = np.empty(ROWS)
    for _, rows in table.groupby(key, sort=False):
        series = pd.Series(rows[values].to_numpy(float), index=rows["time"])
        out[rows.index] = series.rolling(f"{days}D").sum()
    return out


table["one"] = 1.0
features = {
    "amount": table["amount"],
    "weekend": (table["time"].dt.day_of_week >= 5).astype(float),
    "night": (table["time"].dt.hour <= 6).astype(float),
}
for days in (1, 7, 30):
    count = rolling("customer_id", "one", days)
    features[f"customer_transactions_{days}d"] = count
    features[f"customer_spend_{days}d_mean"] = rolling("customer_id", "amount", days) / count
recent, recent_frauds = rolling("terminal_id", "one", 7), rolling("terminal_id", "is_fraud", 7)
for days in (1, 7, 30):
    count = np.round(rolling("terminal_id", "one", days + 7) - recent)
    frauds = np.round(rolling("terminal_id", "is_fraud", days + 7) - recent_frauds)
    features[f"terminal_transactions_{days}d_delayed"] = count
    features[f"terminal_fraud_rate_{days}d_delayed"] = np.divide(frauds, count, out=np.zeros(ROWS), where=count > 0)

columns = {name: table[name].tolist() for name in ("transaction_id", "customer_id", "terminal_id", "amount", "is_fraud")}
columns["time"] = (table["time"].astype("datetime64[ms]").astype("int64")).tolist()
as_float32 = {name: [float(f"{x:.9g}") for x in np.asarray(values, dtype=np.float32)] for name, values in features.items()}
answer = {"label_delay_days": 7, "columns": columns, "features": as_float32}
target = Path(__file__).parents[2] / "test" / "reference" / "features.json"
target.write_text(json.dumps(answer, separators=(",", ":")) + "\n")
print(f"{target}: {ROWS} rows, {len(as_float32)} features, {target.stat().st_size} bytes")
