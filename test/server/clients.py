# Other people's clients against a server: prints what each was told, as one JSON document. Arguments: which, URL, a file of transactions.
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from clients import Triton, answers, failed, given as rows, tell, where as url

names = [name for name in rows[0]]
columns = {name: [row[name] for row in rows] for name in names}


def triton():
    import tritonclient.http as http

    model = "card-fraud"
    client = http.InferenceServerClient(url.removeprefix("http://"))
    ours = Triton(http, rows)

    def tensors(binary, **more):
        return ours.tensors(binary_data=binary, **more)

    refusal = failed(lambda: client.infer(model, tensors(True)[1:]) and None)
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


tell({"triton": triton, "mlflow": mlflow, "plain": plain})
