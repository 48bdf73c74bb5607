"""Loads a bundle as Python's MLflow does, by folder and by alias, and scores rows given as JSON; prints the scores."""

import json
import pathlib
import sys

import mlflow
import numpy
import pandas

folder, uri, given = sys.argv[1:]
mlflow.set_tracking_uri("sqlite:///mlflow.db")
asked = json.loads(pathlib.Path(given).read_text())
frame = pandas.DataFrame(asked["rows"], columns=asked["columns"], dtype="float64")


def scores(model, rows):
    answer = model.predict(rows)
    return numpy.asarray(answer["score"], dtype="float64").reshape(-1).tolist()


by_folder = mlflow.pyfunc.load_model(folder)
by_alias = mlflow.pyfunc.load_model(uri)
example = by_folder.input_example
session = mlflow.onnx.load_model(folder)
print(
    json.dumps(
        {
            "mlflow": mlflow.__version__,
            "folder": scores(by_folder, frame),
            "alias": scores(by_alias, frame),
            # The signature puts the columns in order.
            "reversed": scores(by_alias, frame[frame.columns[::-1]]),
            "example": len(scores(by_folder, example)),
            "outputs": [value.name for value in session.graph.output],
        }
    )
)
