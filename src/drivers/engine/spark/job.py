# The Spark job: shuffles and sorts rows, hands each partition to a worker process of Sentinel, and lets XGBoost boost; it computes nothing itself.
"""Usage: python job.py SESSION.json. Each line of standard input names a job's file and one for the rows of its last stage; lines of JSON on standard output say how far it is."""

import fcntl
import json
import os
import struct
import subprocess
import sys
import threading
import traceback
import types

import numpy as np
import pyarrow as pa

MAGIC = 0x31524653
TYPES = {"f64": (0, 8), "f32": (1, 4), "text": (2, 0)}
ARROW = {"f64": pa.float64(), "f32": pa.float32(), "text": pa.string()}
SPARK = {"f64": "double", "f32": "float", "text": "string"}
FRAME_BYTES_MAX = 2**31 - 1
# Linux lets anybody have so much.
PIPE_BYTES = 2**20
# Of one call: POSIX promises 16, Linux and macOS take 1024.
PARTS_MAX = 1000
# Of what a worker says on standard error, for the message.
ERROR_BYTES = 16_000
# Of a failed job's trace, the last of which says the cause.
ERROR_CHARACTERS = 60_000
ERROR_MARK = "sentinel-error:"


def padding(size):
    return b"\0" * (-size % 8)


def encode_frame(batch, columns):
    """A record batch as the parts of a frame: numbers go as they stand in memory."""
    rows = batch.num_rows
    parts = [struct.pack("<IIII", MAGIC, rows, len(columns), 0)]
    for array, column in zip(batch.columns, columns):
        code, width = TYPES[column["type"]]
        if width > 0:
            if array.null_count > 0:
                raise ValueError(f"column {column['name']!r} has nulls; missing numbers are NaN")
            at = array.offset * width
            body = memoryview(array.buffers()[1])[at : at + rows * width]
            parts += [struct.pack("<IIII", code, 0, 0, 0), body, padding(rows * width)]
            continue
        if pa.types.is_large_string(array.type):
            array = array.cast(pa.string())
        _, offsets_buffer, data_buffer = array.buffers()
        offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[array.offset : array.offset + rows + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        offsets = (offsets - first).tobytes()
        data = b"" if data_buffer is None else memoryview(data_buffer)[first:last]
        gaps = array.null_count > 0
        parts += [struct.pack("<IIII", code, 1 if gaps else 0, last - first, 0), offsets, padding(len(offsets))]
        if gaps:
            valid = np.packbits(array.is_valid().to_numpy(zero_copy_only=False), bitorder="little").tobytes()
            parts += [valid, padding(len(valid))]
        parts += [data, padding(last - first)]
    return parts


def decode_frame(block, columns):
    """A frame as a record batch that shares its bytes."""
    magic, rows, count, _ = struct.unpack_from("<IIII", block, 0)
    if magic != MAGIC or count != len(columns):
        raise ValueError("the worker's output is no frame")
    buffer = pa.py_buffer(block)
    at = 16
    arrays = []
    for column in columns:
        _, gaps, size, _ = struct.unpack_from("<IIII", block, at)
        at += 16
        _, width = TYPES[column["type"]]
        if width > 0:
            body = buffer.slice(at, rows * width)
            arrays.append(pa.Array.from_buffers(ARROW[column["type"]], rows, [None, body], 0))
            at += rows * width + len(padding(rows * width))
            continue
        offsets = buffer.slice(at, (rows + 1) * 4)
        at += (rows + 1) * 4 + len(padding((rows + 1) * 4))
        valid = None
        if gaps:
            length = (rows + 7) // 8
            valid = buffer.slice(at, length)
            at += length + len(padding(length))
        data = buffer.slice(at, size)
        at += size + len(padding(size))
        arrays.append(pa.Array.from_buffers(pa.string(), rows, [valid, offsets, data]))
    return pa.RecordBatch.from_arrays(arrays, names=[f"c{i}" for i in range(len(columns))])


def idle_children():
    """Children of this Python process that wait for a partition, by command; a module, because Spark makes this file's globals anew for each task."""
    return sys.modules.setdefault("sentinel_idle_children", types.ModuleType("sentinel_idle_children")).__dict__


class Child:
    """A process of Sentinel's: takes one partition after the other, and ends where its input ends."""

    def __init__(self, command):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, bufsize=0, **pipes)
        self.said = bytearray()
        for pipe in (self.process.stdin, self.process.stdout):
            widen(pipe)
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.process.stderr:
            self.said.extend(line)
            del self.said[:-ERROR_BYTES]

    def write(self, parts):
        """The parts as one block; blocks without bytes end a partition."""
        pipe = self.process.stdin.fileno()
        rest = [memoryview(part).cast("B") for part in parts if len(part) > 0]
        rest.insert(0, memoryview(struct.pack("<Q", sum(len(part) for part in rest))))
        while rest:
            sent = os.writev(pipe, rest[:PARTS_MAX])
            while rest and sent >= len(rest[0]):
                sent -= len(rest.pop(0))
            if sent > 0:
                rest[0] = rest[0][sent:]

    def read(self, size):
        """That many bytes, or None where the process ended before."""
        block = bytearray(size)
        rest = memoryview(block)
        while len(rest) > 0:
            count = self.process.stdout.readinto(rest)
            if not count:
                return None
            rest = rest[count:]
        return block

    def fault(self, exit):
        words = self.said.decode("utf-8", "replace")
        return RuntimeError(f"{ERROR_MARK}{json.dumps({'exit': exit, 'words': words})}")

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def widen(pipe):
    """A pipe of 64 kB, as Linux makes it, hands a frame over in a hundred turns."""
    try:
        fcntl.fcntl(pipe, 1031, PIPE_BYTES)  # F_SETPIPE_SZ, which has a name from Python 3.10 on
    except OSError:
        # More than a user may have, or no Linux: it works, with more turns.
        pass


def worker(command, task, inputs, outputs):
    """What mapInArrow runs on every partition."""
    header = json.dumps(task).encode()
    key = json.dumps(command)

    def run(batches):
        # Nobody starts a process for a partition without rows.
        first = next((batch for batch in batches if batch.num_rows > 0), None)
        if first is None:
            return
        idle = idle_children()
        child = idle.pop(key, None)
        if child is None or child.process.poll() is not None:
            child = Child(command)
        failed = []

        def feed():
            try:
                child.write([header])
                batch = first
                while batch is not None:
                    child.write(encode_frame(batch, inputs))
                    batch = next((one for one in batches if one.num_rows > 0), None)
                child.write([])
            except BrokenPipeError:
                # The child has ended; its exit code says why.
                pass
            except BaseException as error:  # noqa: BLE001 - told by the thread that reads
                failed.append(error)
                child.process.kill()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        done = False
        try:
            while True:
                head = child.read(8)
                if head is None:
                    break
                (size,) = struct.unpack("<Q", head)
                if size == 0:
                    done = True
                    break
                if size > FRAME_BYTES_MAX:
                    child.process.kill()
                    child.said.extend(b"what it wrote is no frame: is it Sentinel's worker?")
                    raise child.fault("no frames")
                block = child.read(size)
                if block is None:
                    break
                yield decode_frame(block, outputs)
            feeder.join()
            if failed:
                raise failed[0]
            if not done:
                code = child.process.wait()
                child.listener.join()
                raise child.fault(code)
            idle[key] = child
        finally:
            # Spark may stop asking, as it does for an attempt that lost against another.
            if idle.get(key) is not child:
                child.end()

    return run


def schema_of(columns):
    return ", ".join(f"c{i} {SPARK[column['type']]}" for i, column in enumerate(columns))


def place_of(columns, name):
    return next(f"c{i}" for i, column in enumerate(columns) if column["name"] == name)


def apply(rows, stage, inputs, job):
    shuffle = stage.get("shuffle")
    if shuffle is not None:
        rows = rows.repartition(job["partitions"], place_of(inputs, shuffle["by"]))
        rows = rows.sortWithinPartitions(*[place_of(inputs, name) for name in shuffle["sort"]])
    return rows.mapInArrow(worker(job["command"], stage["task"], inputs, stage["columns"]), schema_of(stage["columns"]))


def check_ids(rows, columns):
    from pyspark.sql import functions as F

    by_id = rows.groupBy("c0").agg(F.count("*").alias("n"), F.min("c2").alias("w"))
    most, whole, count = by_id.agg(F.max("n"), F.min("w"), F.sum("n")).first()
    twice = None
    if (most or 0) > 1:
        again = rows.groupBy("c0").agg(F.sort_array(F.collect_list("c1")).alias("r")).where("size(r) > 1")
        found = again.select("c0", F.expr("r[0]"), F.expr("r[1]")).orderBy(F.expr("r[1]")).first()
        twice = {"id": found[0], "rows": [int(found[1]), int(found[2])]}
    return {"rows": int(count or 0), "whole": whole == 1, "twice": twice}


def watch(spark, stop):
    """Tells how many tasks are done, a line at each look."""
    tracker = spark.sparkContext.statusTracker()
    while not stop.wait(1):
        for stage in tracker.getActiveStageIds():
            info = tracker.getStageInfo(stage)
            if info is not None and info.numTasks > 0:
                tell({"progress": {"stage": f"Spark stage {stage}", "done": info.numCompletedTasks, "total": info.numTasks}})


def tell(said):
    print(json.dumps(said, allow_nan=False), flush=True)


def run_job(spark, job, result_file):
    splits = [(text,) for text in job["splits"]]
    # One partition a split: a split is what one process reads.
    start = spark.createDataFrame(spark.sparkContext.parallelize(splits, len(splits)), "c0 string")
    split_columns = [{"name": "split", "type": "text"}]
    result = {"engine": f"Spark {spark.version}", "ids": None}
    if job["ids"] is not None:
        result["ids"] = check_ids(apply(start, job["ids"], split_columns, job), job["ids"]["columns"])
    if job["stages"] and (result["ids"] or {}).get("twice") is None:
        rows, columns = start, split_columns
        for stage in job["stages"]:
            stage["task"]["ids"] = result["ids"]
            rows = apply(rows, stage, columns, job)
            columns = stage["columns"]
        table = rows.toArrow().combine_chunks()
        batches = table.to_batches()
        with open(result_file, "wb") as file:
            for part in encode_frame(batches[0], columns) if batches else []:
                file.write(part)
    return result


def by_name(name):
    from pyspark.sql import functions as F

    return F.col("`" + name.replace("`", "``") + "`")


def boosting_rows(spark, job):
    """The labelled rows of both slices: `label`, whether they only say when to stop, and the features as f0, f1, …"""
    from pyspark.sql import functions as F

    columns = job["columns"]
    # Times without a zone are UTC.
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    label = by_name(columns["label"])
    at = F.unix_millis(by_name(columns["time"]).cast("timestamp"))
    within = [(at >= job[of]["from"]) & (at < job[of]["to"]) for of in ("train", "validation")]
    features = [by_name(name).cast("float").alias(f"f{i}") for i, name in enumerate(columns["features"])]
    rows = spark.read.parquet(*job["files"]).where(within[0] | within[1])
    known = F.coalesce(label.cast("double"), F.lit(0.0)) if job["isGenuine"] else label.cast("double")
    rows = rows.select(by_name(columns["id"]).alias("id"), at.alias("at"), known.alias("y"), within[1].alias("later"), *features)
    return rows.where(F.col("y").isNotNull())


def boost(spark, job, result_file):
    """Trees by XGBoost on Spark: rows of a worker are the same in every run of as many workers, in the same order."""
    import xgboost
    from pyspark.sql import functions as F
    from xgboost.spark import SparkXGBClassifier

    names = job["columns"]["features"]
    inputs = [f"f{i}" for i in range(len(names))]
    rows = boosting_rows(spark, job)
    cpus = int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))
    workers = max(1, min(job["workersMax"], spark.sparkContext.defaultParallelism // cpus))
    rows = rows.repartition(workers, "id").sortWithinPartitions("at", "id")
    count, frauds = rows.where(~F.col("later")).agg(F.count("*"), F.sum("y")).first()
    learner = SparkXGBClassifier(
        features_col=inputs,
        label_col="y",
        validation_indicator_col="later",
        feature_names=inputs,
        num_workers=workers,
        missing=float("nan"),
        # Otherwise rows would be dealt at random.
        force_repartition=False,
        **job["parameters"],
    )
    model = learner.fit(rows)
    booster = model.get_booster()
    with open(job["probe"], "rb") as file:
        probe = decode_frame(file.read(), [{"name": name, "type": "f32"} for name in names])
    asked = np.column_stack([column.to_numpy(zero_copy_only=False) for column in probe.columns])
    types = job["parameters"].get("feature_types")
    data = xgboost.DMatrix(asked, feature_names=inputs, feature_types=types, enable_categorical=types is not None)
    # Rounds after the best one are in the file, and nobody's answer.
    rounds = (0, booster.best_iteration + 1) if "best_iteration" in booster.attributes() else (0, 0)
    scores = booster.predict(data, iteration_range=rounds)
    booster.feature_names = names
    with open(result_file, "wb") as file:
        file.write(booster.save_raw("json"))
    summary = model.training_summary
    curve = {
        "train": next(iter(summary.train_objective_history.values()), []),
        "validation": next(iter(summary.validation_objective_history.values()), []),
    }
    boosted = {"library": f"XGBoost {xgboost.__version__}", "workers": workers, "rows": int(count), "frauds": int(frauds or 0)}
    boosted.update(curve=curve, scores=[float(score) for score in scores])
    return {"engine": f"Spark {spark.version}", "ids": None, "boosted": boosted}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        session = json.load(file)
    # Executors start their Python by this name; without it they take the system's.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("sentinel").master(session["master"])
    for key, value in session["conf"].items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(spark, stop), daemon=True)
    try:
        spark.sparkContext.setLogLevel("ERROR")
        watcher.start()
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                with open(asked["job"], encoding="utf-8") as file:
                    job = json.load(file)
                made = run_job(spark, job, asked["result"]) if "boost" not in job else boost(spark, job["boost"], asked["result"])
                tell({"result": made})
            except Exception:  # noqa: BLE001 - the session goes on with the next job
                tell({"failed": traceback.format_exc()[-ERROR_CHARACTERS:]})
    finally:
        stop.set()
        spark.stop()


if __name__ == "__main__":
    main()
