# Other people's gRPC clients against a server: prints what each was told, as one JSON document. Arguments: which, target, a JSON file, proto/.
import importlib
import json
import os
import sys
import tempfile
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
from clients import Triton, answers, failed, file, given, more, tell, where as target

(proto,) = more
rows = given["rows"]

import grpc
from google.protobuf import json_format, struct_pb2


def compiled():
    """Stubs as a user makes them, from the files of the package."""
    import grpc_tools
    from grpc_tools import protoc

    out = tempfile.mkdtemp(prefix="sentinel-stubs-", dir=os.path.dirname(file))
    known = os.path.join(os.path.dirname(grpc_tools.__file__), "_proto")
    code = protoc.main(["protoc", f"-I{proto}", f"-I{known}", f"--python_out={out}", f"--grpc_python_out={out}", "sentinel/v1/sentinel.proto"])
    assert code == 0
    sys.path.insert(0, out)
    return importlib.import_module("sentinel.v1.sentinel_pb2"), importlib.import_module("sentinel.v1.sentinel_pb2_grpc")


def struct(row):
    made = struct_pb2.Struct()
    made.update(row)
    return made


def told(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def refusal(call):
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    try:
        call()
    except grpc.RpcError as error:
        status = rpc_status.from_call(error)
        details = {}
        for one in status.details if status is not None else []:
            name = one.type_url.split("/")[-1]
            if name == "google.rpc.ErrorInfo":
                info = error_details_pb2.ErrorInfo()
                one.Unpack(info)
                details["info"] = {"reason": info.reason, "domain": info.domain, "metadata": dict(info.metadata)}
            if name == "google.rpc.BadRequest":
                bad = error_details_pb2.BadRequest()
                one.Unpack(bad)
                details["fields"] = [violation.field for violation in bad.field_violations]
            if name == "google.rpc.RetryInfo":
                details["retry"] = True
            if name == "sentinel.v1.Problem":
                details["problem"] = True
        return {"code": error.code().name, "text": error.details(), "details": details}
    return None


def grpcio():
    messages, services = compiled()
    with grpc.insecure_channel(target) as channel:
        stub = services.SentinelStub(channel)
        by_struct = [told(stub.Score(messages.ScoreRequest(fields=struct(row)))) for row in rows]
        by_json = [told(stub.Score(messages.ScoreRequest(json=json.dumps(row).encode()), timeout=30)) for row in rows]

        def many():
            for index in range(given["messages"]):
                yield messages.ScoreRequest(json=json.dumps(rows[index % len(rows)]).encode())

        def never():
            yield messages.ScoreRequest(json=json.dumps(rows[0]).encode())
            threading.Event().wait(1)

        order = []
        ids = []
        for response in stub.ScoreStream(many()):
            order.append(response.index)
            ids.append(response.answer.transaction_id)
        in_order = order == list(range(given["messages"]))
        same = ids == [rows[index % len(rows)]["transaction_id"] for index in range(given["messages"])]
        label = messages.TransactionLabel(transaction_id=rows[0]["transaction_id"], fraud=True)
        label.known_at.FromJsonString(given["known_at"])
        return {
            "struct": by_struct,
            "json": by_json,
            "stream": {"count": len(order), "in_order": in_order, "same": same},
            "explain": told(stub.Explain(messages.ExplainRequest(transaction_id=rows[1]["transaction_id"]))),
            "label": told(stub.Label(messages.LabelRequest(labels=[label]))),
            "bad": refusal(lambda: stub.Score(messages.ScoreRequest(fields=struct({**rows[0], "amount": -1, "transaction_id": "x"})))),
            "none": refusal(lambda: stub.Score(messages.ScoreRequest(pipeline="nobody", json=b"{}"))),
            "unknown_method": refusal(lambda: channel.unary_unary("/sentinel.v1.Sentinel/Nothing")(b"")),
            "no_message": refusal(lambda: channel.unary_unary("/sentinel.v1.Sentinel/Score")(b"\xff\xff")),
            "late": refusal(lambda: list(stub.ScoreStream(never(), timeout=0.2))),
            "compressed": told(stub.Score(messages.ScoreRequest(fields=struct(rows[0])), compression=grpc.Compression.Gzip)),
        }


def reflection():
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

    with grpc.insecure_channel(target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = sorted(database.get_services())
        pool = DescriptorPool(database)
        # What a client without the contract does: it learns the messages, and calls by them.
        service = pool.FindServiceByName("sentinel.v1.Sentinel")
        method = service.FindMethodByName("Score")
        Request, Response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary("/sentinel.v1.Sentinel/Score", Request.SerializeToString, Response.FromString)
        request = json_format.ParseDict({"fields": rows[2]}, Request(), descriptor_pool=pool)
        answer = told(call(request))
        infer = pool.FindMessageTypeByName("inference.ModelInferRequest")
        try:
            pool.FindServiceByName("sentinel.v1.Nobody")
            unknown = "found"
        except KeyError:
            unknown = "unknown"
        health = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="sentinel.v1.Sentinel"))
        nobody = health.Watch(health_pb2.HealthCheckRequest(service="nobody"))
        name = health_pb2.HealthCheckResponse.ServingStatus.Name
        out = {
            "services": services,
            "methods": sorted(one.name for one in service.methods),
            "tensor_fields": sorted(one.name for one in infer.nested_types_by_name["InferInputTensor"].fields),
            "optional_score": Response.DESCRIPTOR.fields_by_name["score"].has_presence,
            "unknown": unknown,
            "answer": answer,
            "check": name(health.Check(health_pb2.HealthCheckRequest()).status),
            "watch": name(next(watch).status),
            "watch_nobody": name(next(nobody).status),
            "check_nobody": refusal(lambda: health.Check(health_pb2.HealthCheckRequest(service="nobody"))),
        }
        watch.cancel()
        nobody.cancel()
        return out


def triton():
    import tritonclient.grpc as client_of

    model = "card-fraud"
    client = client_of.InferenceServerClient(target)
    tensors = Triton(client_of, rows).tensors
    wanted = [client_of.InferRequestedOutput("score"), client_of.InferRequestedOutput("decision")]
    raw = client.infer(model, tensors(), request_id="ab-1")
    metadata = client.get_server_metadata()
    about = client.get_model_metadata(model)
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": client.is_model_ready(model),
        "version_ready": client.is_model_ready(model, "1"),
        "other_ready": failed(lambda: client.is_model_ready("nobody")),
        "server": {"name": metadata.name, "version": metadata.version, "extensions": list(metadata.extensions)},
        "model": {"name": about.name, "versions": list(about.versions), "platform": about.platform},
        "inputs": {one.name: [one.datatype, list(one.shape)] for one in about.inputs},
        "raw": answers(raw),
        "id": raw.get_response().id,
        "some": answers(client.infer(model, tensors(), outputs=wanted)),
        "matrix": answers(client.infer(model, tensors(matrix=True), model_version="1")),
        "fresh": answers(client.infer(model, tensors(prefix="fresh-"))),
        "refusal": failed(lambda: client.infer(model, tensors()[1:])),
        "other_version": failed(lambda: client.infer(model, tensors(), model_version="99")),
    }


def mtls():
    messages, services = compiled()

    def read(name):
        with open(given["certificates"][name], "rb") as stream:
            return stream.read()

    def score(credentials):
        with grpc.secure_channel(target, credentials) as channel:
            request = messages.ScoreRequest(json=json.dumps(rows[0]).encode())
            return told(services.SentinelStub(channel).Score(request, timeout=10))

    ca = read("ca")
    return {
        "known": score(grpc.ssl_channel_credentials(ca, read("client_key"), read("client_cert"))),
        "stranger": refusal(lambda: score(grpc.ssl_channel_credentials(ca, read("stranger_key"), read("stranger_cert")))),
        "nobody": refusal(lambda: score(grpc.ssl_channel_credentials(ca))),
    }


tell({"grpcio": grpcio, "reflection": reflection, "triton": triton, "mtls": mtls})
