"""A registered model as Python's MLflow lists, loads and scores it, by name and alias; prints one JSON document."""

import json
import pathlib
import sys

import mlflow
import numpy
import onnxruntime
import pandas

uri, address, given = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_registry_uri(uri)
client = mlflow.MlflowClient()
name = address.removeprefix("models:/").split("@")[0]
asked = json.loads(pathlib.Path(given).read_text())
frame = pandas.DataFrame(asked["rows"], columns=asked["columns"], dtype="float64")

model = mlflow.pyfunc.load_model(address)
session = onnxruntime.InferenceSession(mlflow.onnx.load_model(address).SerializeToString())
vectors = numpy.asarray(frame, dtype="float32")
info = mlflow.models.get_model_info(address)
print(
    json.dumps(
        {
            "mlflow": mlflow.__version__,
            "models": [found.name for found in client.search_registered_models()],
            "versions": sorted(int(found.version) for found in client.search_model_versions(f"name = '{name}'")),
            "aliases": {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()},
            "pyfunc": numpy.asarray(model.predict(frame)["score"], dtype="float64").tolist(),
            "onnx": numpy.asarray(session.run(["score"], {session.get_inputs()[0].name: vectors})[0], dtype="float64").reshape(-1).tolist(),
            "inputs": info.signature.inputs.input_names(),
            "outputs": info.signature.outputs.input_names(),
            "example": list(info.saved_input_example_info or {}) != [] and len(model.input_example),
        }
    )
)
