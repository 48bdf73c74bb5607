# What programs with other people's clients share: arguments, the tensors of Triton's two clients, one JSON document as the result.
import json
import sys

which, where, file, *more = sys.argv[1:]
with open(file) as stream:
    given = json.load(stream)


def tell(programs):
    """Runs the program that was asked for, and prints what it gives."""
    print(json.dumps(programs[which]()))


class Triton:
    """Rows as tensors of one of Triton's clients, and its results as plain data; `how` goes to each tensor."""

    def __init__(self, client_of, rows):
        self.client_of = client_of
        self.names = list(rows[0])
        self.columns = {name: [row[name] for row in rows] for name in self.names}

    def tensors(self, prefix="", matrix=False, **how):
        import numpy as np

        inputs = []
        for name in self.names:
            values = self.columns[name]
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
            one = self.client_of.InferInput(name, list(array.shape), datatype)
            one.set_data_from_numpy(array, **how)
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


def failed(call):
    from tritonclient.utils import InferenceServerException

    try:
        return call()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
