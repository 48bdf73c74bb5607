# How schemathesis writes and reads lines of JSON: one transaction per request, one answer per line.
import json

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def write(context, value):
    return json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def read(context, response):
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else {}
