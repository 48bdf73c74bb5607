"""MLflow's own client as a peer: registers and loads a folder on command, a line of JSON each; the process starts before anything is timed."""

import json
import pathlib
import shutil
import sys
import tempfile
import time

import mlflow
from mlflow import MlflowClient

MODEL = "peer"

task = json.loads(sys.argv[1])
mlflow.set_tracking_uri(task["uri"])
client = MlflowClient()
experiment = client.create_experiment("peer")
client.create_registered_model(MODEL)


def register(folder):
    """What a version takes: a logged model, its files, the version."""
    run = client.create_run(experiment)
    start = time.perf_counter()
    model = client.create_logged_model(experiment, name=MODEL, source_run_id=run.info.run_id)
    client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, "READY")
    made = client.create_model_version(MODEL, f"models:/{model.model_id}", run.info.run_id, model_id=model.model_id)
    return time.perf_counter() - start, made.version


def load(version):
    into = tempfile.mkdtemp()
    start = time.perf_counter()
    folder = mlflow.artifacts.download_artifacts(artifact_uri=f"models:/{MODEL}/{version}", dst_path=into)
    contents = [path.read_bytes() for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file()]
    seconds = time.perf_counter() - start
    shutil.rmtree(into)
    return seconds, sum(map(len, contents))


print(json.dumps({"ready": mlflow.__version__}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    seconds, value = register(asked["folder"]) if asked["do"] == "register" else load(asked["version"])
    print(json.dumps({"seconds": seconds, "value": value}), flush=True)
