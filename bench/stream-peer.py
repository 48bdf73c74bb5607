"""PySpark's structured streaming over a Kafka topic: twenty conditions per record, the fired ones written to another topic."""

import glob
import json
import os
import sys
import tempfile
import time

from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

task = json.loads(sys.argv[1])
os.environ["PYSPARK_PYTHON"] = sys.executable
jars = ",".join(glob.glob(os.path.join(task["jars"], "*.jar")))
spark = (
    SparkSession.builder.master("local[*]")
    .config("spark.jars", jars)
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
schema = T.StructType(
    [
        T.StructField("transaction_id", T.StringType()),
        T.StructField("time", T.LongType()),
        T.StructField("amount", T.DoubleType()),
        T.StructField("customer_id", T.StringType()),
        T.StructField("terminal_id", T.StringType()),
    ]
)
records = (
    spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", task["broker"])
    .option("subscribe", task["topic"])
    .option("startingOffsets", "earliest")
    .option("maxOffsetsPerTrigger", max(1000, task["rows"] // 10))
    .load()
)
fields = records.select("key", F.from_json(F.col("value").cast("string"), schema).alias("t")).select("key", "t.*")
fired = F.array_compact(F.array(*[F.when(F.expr(rule), F.lit(f"r{at}")) for at, rule in enumerate(task["rules"])]))
decided = fields.select("key", F.to_json(F.struct("transaction_id", "time", fired.alias("fired"))).alias("value"))
with tempfile.TemporaryDirectory() as folder:
    begun = time.time()
    query = (
        decided.writeStream.format("kafka")
        .option("kafka.bootstrap.servers", task["broker"])
        .option("topic", task["output"])
        .option("checkpointLocation", folder)
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    progress = [p for p in query.recentProgress if p["numInputRows"] > 0]
# The first batches warm it up, as they do on the other side.
steady = progress[2:] or progress
rows = sum(p["numInputRows"] for p in steady)
seconds = sum(p["durationMs"]["triggerExecution"] for p in steady) / 1000
print(json.dumps({"perSecond": rows / seconds, "seconds": time.time() - begun}))
