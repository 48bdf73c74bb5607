"""Scores every NAME.onnx of a folder with onnxruntime on NAME.rows (Float32, row by row) into NAME.scores; prints what it saw."""

import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

SINGLE_ROWS = 300

seen = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__, "models": {}}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    rows = numpy.fromfile(path.with_suffix(".rows"), dtype="<f4").reshape(-1, inputs[0].shape[1])
    scores = session.run(None, {inputs[0].name: rows})[0]
    scores.astype("<f4").tofile(path.with_suffix(".scores"))
    # One row at a time is another code path of the runtime.
    single = [session.run(None, {inputs[0].name: rows[i : i + 1]})[0][0, 0] for i in range(SINGLE_ROWS)]
    seen["models"][path.stem] = {
        "inputs": [[value.name, value.type, value.shape] for value in inputs],
        "outputs": [[value.name, value.type, value.shape] for value in outputs],
        "shape": list(scores.shape),
        "single": float(numpy.abs(numpy.array(single) - scores[:SINGLE_ROWS, 0]).max()),
    }
print(json.dumps(seen))
