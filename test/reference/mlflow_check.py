"""What MLflow itself sees in a registry that Sentinel wrote: prints one JSON document. Run in the registry's folder."""

import json
import sys

import mlflow
from mlflow import MlflowClient

MODEL = "card-fraud"


def entity_facts(client):
    experiment = client.get_experiment_by_name("card")
    runs = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return {
        "experiments": sorted(found.name for found in client.search_experiments()),
        "runs": [run_facts(client, client.get_run(run.info.run_id)) for run in runs],
        "filtered": [run.info.run_name for run in client.search_runs([experiment.experiment_id], "metrics.ap > 0.5")],
        "logged_models": [model_facts(model) for model in client.search_logged_models([experiment.experiment_id])],
    }


def run_facts(client, run):
    history = client.get_metric_history(run.info.run_id, "loss")
    return {
        "id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "user": run.info.user_id,
        "params": run.data.params,
        "metrics": {key: str(value) for key, value in run.data.metrics.items()},
        "tags": {key: value for key, value in run.data.tags.items() if key != "mlflow.log-model.history"},
        "loss": [[metric.step, metric.value] for metric in history],
        "datasets": [
            [found.dataset.name, found.dataset.digest, {tag.key: tag.value for tag in found.tags}]
            for found in run.inputs.dataset_inputs
        ],
        "models": [output.model_id for output in run.outputs.model_outputs],
        "artifacts": len(client.list_artifacts(run.info.run_id)),
    }


def model_facts(model):
    return {
        "id": model.model_id,
        "name": model.name,
        "status": str(model.status),
        "params": model.params,
        "metrics": {metric.key: metric.value for metric in model.metrics or []},
        "versions": json.loads(model.tags["mlflow.modelVersions"]),
    }


def registry_facts(client):
    registered = client.get_registered_model(MODEL)
    versions = sorted(client.search_model_versions(f"name = '{MODEL}'"), key=lambda found: int(found.version))
    return {
        "models": [found.name for found in client.search_registered_models()],
        "aliases": registered.aliases,
        "versions": [
            {
                "version": str(found.version),
                "run": found.run_id,
                "status": found.status,
                "description": found.description,
                "tags": found.tags,
            }
            for found in versions
        ],
        "champion": str(client.get_model_version_by_alias(MODEL, "champion").version),
    }


def downloads():
    """Every address by which a model's files can be asked for must lead to the same bytes."""
    found = {}
    for address in (f"models:/{MODEL}@champion", f"models:/{MODEL}/1"):
        folder = mlflow.artifacts.download_artifacts(artifact_uri=address)
        with open(f"{folder}/models/gbdt.bin", "rb") as file:
            found[address] = len(file.read())
    return found


def main():
    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    mlflow.set_registry_uri("sqlite:///mlflow.db")
    client = MlflowClient()
    facts = {"mlflow": mlflow.__version__, **entity_facts(client), **registry_facts(client), "downloads": downloads()}
    if "write" in sys.argv:
        # What a user's notebook may do beside Sentinel.
        with mlflow.start_run(experiment_id=client.get_experiment_by_name("card").experiment_id, run_name="by mlflow") as run:
            mlflow.log_metric("ap", 0.25)
        client.set_registered_model_alias(MODEL, "by-mlflow", "1")
        client.set_model_version_tag(MODEL, "1", "seen", "yes")
        client.create_model_version(MODEL, f"runs:/{run.info.run_id}/model", run.info.run_id)
    print(json.dumps(facts))


main()
