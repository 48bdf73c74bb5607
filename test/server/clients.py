# Other people's clients against a server: prints what each was told, as one JSON document. Arguments: which, URL, a file of transactions.
import json
import sys

which, url, file = sys.argv[1:4]
with open(file) as stream:
    rows = json.load(stream)
names = [name for name in rows[0]]
columns = {name: [row[name] for row in rows] for name in names}


def triton():
    import numpy as np
    import tritonclient.http as http
    from tritonclient.utils import InferenceServerException

    model = "card-fraud"
    client = http.InferenceServerClient(url.removeprefix("http://"))

    def tensors(binary, prefix="", matrix=False):
        inputs = []
        for name in names:
            values = columns[name]
            if name == "transaction_id":
                values = [prefix + value for value in values]
            if isinstance(values[0], str):
                array, datatype = np.array([value.encode() for value in values], dtype=np.object_), "BYTES"
            elif isinstance(values[0], int):
                array, datatype = np.array(values, dtype=np.int64), "INT64"
            else:
                array, datatype = np.array(values, dtype=np.float64), "FP64"
            if matrix:
                array = array.reshape(-1, 1)
            one = http.InferInput(name, list(array.shape), datatype)
            one.set_data_from_numpy(array, binary_data=binary)
            inputs.append(one)
        return inputs

    def answers(result):
        out = {}
        for name in ["score", "anomaly_score", "decision", "transaction_id", "version"]:
            array = result.as_numpy(name)
            if array is None:
                continue
            out[name] = [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]
        out["shape"] = list(result.as_numpy("score").shape)
        return out

    refusal = None
    try:
        client.infer(model, tensors(True)[1:])
    except InferenceServerException as error:
        refusal = {"status": error.status(), "message": error.message()}
    wanted = [http.InferRequestedOutput("score", binary_data=False), http.InferRequestedOutput("decision", binary_data=True)]
    binary = client.infer(model, tensors(True), request_id="ab-1")
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "other_ready": client.is_model_ready("nobody"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata(model),
        "binary": answers(binary),
        "id": binary.get_response()["id"],
        "json": answers(client.infer(model, tensors(False), outputs=wanted)),
        "matrix": answers(client.infer(model, tensors(True, matrix=True), model_version="1")),
        "fresh": answers(client.infer(model, tensors(True, prefix="fresh-"))),
        "refusal": refusal,
    }


def mlflow():
    import pandas as pd
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    host, port = url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=30)
    frame = pd.DataFrame(columns)
    return {
        "version": client.get_version(),
        "predictions": client.invoke(frame).get_predictions().to_dict(orient="records"),
    }


def plain():
    import csv
    import io
    import urllib.request

    def post(body, kind):
        request = urllib.request.Request(f"{url}/invocations", body.encode(), {"Content-Type": kind})
        with urllib.request.urlopen(request) as response:
            return json.load(response)["predictions"]

    text = io.StringIO()
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    as_json = "application/json"
    split = {"columns": names, "data": [[row[name] for name in names] for row in rows]}
    return {
        "dataframe_split": post(json.dumps({"dataframe_split": split}), as_json),
        "dataframe_records": post(json.dumps({"dataframe_records": rows}), as_json),
        "instances": post(json.dumps({"instances": rows}), as_json),
        "inputs": post(json.dumps({"inputs": columns}), as_json),
        "csv": post(text.getvalue(), "text/csv"),
    }


print(json.dumps({"triton": triton, "mlflow": mlflow, "plain": plain}[which]()))
