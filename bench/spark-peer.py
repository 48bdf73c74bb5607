"""The 59 features of features/card.ts as Spark SQL window functions, what a user would write instead; compared with the table that serves."""

import json
import os
import sys
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.window import Window

task = json.loads(sys.argv[1])
os.environ["PYSPARK_PYTHON"] = sys.executable
spark = (
    SparkSession.builder.master(f"local[{task['threads']}]")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", str(2 * task["threads"]))
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
DAY = 86_400_000


def renamed(table):
    names = {"tx_datetime": "time", "tx_amount": "amount", "tx_fraud": "is_fraud"}
    for native, name in names.items():
        if native in table.columns:
            table = table.withColumnRenamed(native, name)
    return table


begun = time.time()
rows = renamed(spark.read.parquet(task["data"]))
rows = rows.withColumn("ms", F.unix_millis(F.col("time").cast("timestamp")))


def days(text):
    return int(text[:-1]) * DAY


def window(key, length, delay=0):
    """(t - delay - length, t - delay]: a range that ends at the row itself where nothing delays it; ties of the millisecond are all in it."""
    return Window.partitionBy(f"{key}_id").orderBy("ms").rangeBetween(-(delay + length) + 1, -delay)


amount, fraud, ms = F.col("amount"), F.col("is_fraud"), F.col("ms")
columns = {"amount": amount}
columns["hour"] = F.hour("time")
columns["weekend"] = (F.dayofweek("time").isin(1, 7)).cast("double")
columns["night"] = (F.hour("time") <= 6).cast("double")
for length in ("1d", "7d", "30d"):
    over = window("customer", days(length))
    columns[f"customer_transactions_{length}"] = F.count("*").over(over)
    columns[f"customer_spend_{length}_mean"] = F.avg(amount).over(over)
for length in ("7d", "30d"):
    over = window("customer", days(length))
    columns[f"customer_spend_{length}_max"] = F.max(amount).over(over)
    columns[f"customer_spend_{length}_std"] = F.stddev_samp(amount).over(over)


def before(length):
    # Without the row itself, as far as a range can say it: other rows of its millisecond are lost too.
    return Window.partitionBy("customer_id").orderBy("ms").rangeBetween(-days(length) + 1, -1)


for length in ("7d", "14d", "30d"):
    mean = F.avg(amount).over(before(length))
    columns[f"customer_spend_before_{length}_mean"] = mean
    columns[f"amount_to_customer_mean_{length}"] = F.try_divide(amount, mean)
    columns[f"amount_over_customer_mean_{length}"] = amount - mean
std = F.stddev_samp(amount).over(before("30d"))
most = F.max(amount).over(before("30d"))
columns["customer_spend_before_30d_std"] = std
columns["customer_spend_before_30d_max"] = most
columns["amount_customer_zscore_30d"] = F.try_divide(columns["amount_over_customer_mean_30d"], std)
columns["amount_to_customer_max_30d"] = F.try_divide(amount, most)
usual = F.avg(amount).over(window("customer", days("30d")))
for length in ("3d", "7d", "14d"):
    amounts = F.collect_list(amount).over(window("customer", days(length)))
    for times in (3, 4):
        limit = usual * times
        # The bound is of the row, so that no aggregate can have it: the window's amounts are gathered and filtered.
        columns[f"customer_spends_{times}x_usual_{length}"] = F.size(F.filter(amounts, lambda one, at=limit: one > at))
previous = F.lag(ms).over(Window.partitionBy("customer_id").orderBy("ms"))
columns["customer_seconds_since_last_transaction"] = F.when(ms - previous < 30 * DAY, (ms - previous) / 1000)
delayed = 7 * DAY
over = window("customer", 30 * DAY, delayed)
columns["customer_frauds_30d_delayed"] = F.coalesce(F.sum(fraud).over(over), F.lit(0))
columns["customer_fraud_rate_30d_delayed"] = F.coalesce(F.avg(fraud).over(over), F.lit(0))
for length in ("1d", "3d", "7d", "14d", "30d"):
    over = window("terminal", days(length), delayed)
    columns[f"terminal_transactions_{length}_delayed"] = F.count("*").over(over)
    columns[f"terminal_fraud_rate_{length}_delayed"] = F.coalesce(F.avg(fraud).over(over), F.lit(0))
for length in ("7d", "14d", "30d"):
    columns[f"terminal_frauds_{length}_delayed"] = F.coalesce(
        F.sum(fraud).over(window("terminal", days(length), delayed)), F.lit(0)
    )
for who in ("customer", "terminal"):
    # Labels become known after seven days, so that a fraud within 35 days is known when it is at least 7 old.
    known = window(who, 28 * DAY, delayed)
    fraud_at = F.when(fraud == 1, ms)
    columns[f"{who}_days_since_first_known_fraud"] = (ms - F.min(fraud_at).over(known)) / DAY
    last = F.max(fraud_at).over(known)
    columns[f"{who}_days_since_last_known_fraud"] = (ms - last) / DAY
    times_known = F.collect_list(ms).over(window(who, 35 * DAY, delayed))
    last_delayed = F.max(fraud_at).over(window(who, 35 * DAY, delayed))
    columns[f"{who}_genuine_since_last_known_fraud"] = F.when(
        last_delayed.isNotNull(), F.size(F.filter(times_known, lambda at, last=last_delayed: at > last))
    )

known = window("terminal", 28 * DAY, delayed)
fraud_at, fraud_amount = F.when(fraud == 1, ms), F.when(fraud == 1, amount)
columns["terminal_known_fraud_amount_min"] = F.min(fraud_amount).over(known)
columns["terminal_known_fraud_amount_max"] = F.max(fraud_amount).over(known)
# Frauds of a millisecond with a genuine one are lost: a range cannot tell them apart.
last_genuine = F.coalesce(F.max(F.when(fraud == 0, ms)).over(known), F.lit(0))
in_a_row = F.filter(F.collect_list(fraud_at).over(known), lambda at, last=last_genuine: at > last)
columns["terminal_known_frauds_in_a_row"] = F.size(in_a_row)
columns["terminal_days_since_frauds_in_a_row_began"] = (ms - F.array_min(in_a_row)) / DAY

names = list(columns)
peer = rows.select("transaction_id", *[column.cast("float").alias(name) for name, column in columns.items()])
folder = os.path.join(os.path.dirname(task["table"]), "windows")
peer.write.mode("overwrite").parquet(folder)
seconds = time.time() - begun

own = spark.read.parquet(task["table"]).select("transaction_id", *[F.col(name).alias(f"own {name}") for name in names])
both = own.join(spark.read.parquet(folder), "transaction_id")


def share(name, far):
    a, b = F.col(f"`own {name}`"), F.col(f"`{name}`")
    gap = F.abs(a - b) > 1e-6 * F.greatest(F.abs(a), F.abs(b), F.lit(1e-6))
    other = ~a.eqNullSafe(b) if not far else F.coalesce(gap, a.isNull() != b.isNull())
    return F.avg(other.cast("double"))


asked = [share(name, far).alias(f"{name} {far}") for name in names for far in (False, True)]
found = both.agg(F.count("*").alias("rows"), *asked).first().asDict()
if found["rows"] != task["rows"]:
    raise SystemExit(f"{found['rows']} of {task['rows']} rows are in both tables")
by_name = {name: found[f"{name} True"] for name in names}
worst = max(by_name, key=by_name.get)
print(
    json.dumps(
        {
            "seconds": seconds,
            "differing": sum(found[f"{name} False"] for name in names) / len(names),
            "far": sum(by_name.values()) / len(names),
            "worst": [worst, by_name[worst]],
        }
    )
)
spark.stop()
