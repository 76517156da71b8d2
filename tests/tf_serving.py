"""A server of SavedModels that takes and gives what TensorFlow Serving's REST API does.

As its documentation says (tensorflow_serving/g3doc/api_rest.md): row and column format, base64, the
suffix `_bytes`, the newest version unless one is named, errors as JSON.
"""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tensorflow as tf


def decoded(value):
    """A JSON value with the bytes of {"b64": …}."""
    return base64.b64decode(value["b64"]) if value.keys() == {"b64"} else value


def listed(name: str, value: tf.Tensor):
    """An output as JSON: only strings of a `…_bytes` are base64, all others must be text."""
    def text(item):
        if not isinstance(item, bytes):
            return item
        return ({"b64": base64.b64encode(item).decode()} if name.endswith("_bytes")
                else item.decode())

    def walk(items):
        return [walk(item) for item in items] if isinstance(items, list) else text(items)

    return walk(value.numpy().tolist())


def one_or_all(values: dict):
    return next(iter(values.values())) if len(values) == 1 else values


def answer(signature, request: dict) -> dict:
    """What a signature answers to a request in row or in column format."""
    specs = signature.structured_input_signature[1]
    if "instances" in request:
        rows = [row if isinstance(row, dict) else {next(iter(specs)): row}
                for row in request["instances"]]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
    else:
        given = request["inputs"]
        columns = given if isinstance(given, dict) else {next(iter(specs)): given}
    if columns.keys() != specs.keys():
        raise ValueError(f"inputs {sorted(columns)} are not {sorted(specs)}")
    outputs = signature(**{name: tf.constant(columns[name], spec.dtype)
                           for name, spec in specs.items()})
    columns = {name: listed(name, value) for name, value in outputs.items()}
    if "inputs" in request:
        return {"outputs": one_or_all(columns)}
    rows = zip(*columns.values(), strict=True)  # raises ValueError if batch sizes differ
    return {"predictions": [one_or_all(dict(zip(columns, row, strict=True))) for row in rows]}


class Handler(BaseHTTPRequestHandler):
    folders: dict[str, Path]  # of versions, by the names of models

    def do_POST(self):
        name, version = re.fullmatch(r"/v1/models/(\w+)(?:/versions/(\d+))?:predict",
                                     self.path).groups()
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])),
                             object_hook=decoded)
        try:
            versions = [int(path.name) for path in self.folders[name].iterdir()
                        if path.name.isdecimal()]
            model = tf.saved_model.load(str(self.folders[name] / (version or str(max(versions)))))
            signature = model.signatures[request.get("signature_name", "serving_default")]
            status, body = 200, answer(signature, request)
        except (KeyError, OSError) as error:
            status, body = 404, {"error": f"Servable not found: {error}"}
        except (ValueError, TypeError, tf.errors.OpError) as error:
            status, body = 400, {"error": str(error)}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextmanager
def serving(**folders: Path) -> Iterator[str]:
    """Serves models on a free loopback port; yields http://HOST:PORT/v1/models."""
    handler = type("Handler", (Handler,), {"folders": folders})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/models"
        server.shutdown()
        thread.join()
