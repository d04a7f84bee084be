"""Answers as TensorFlow Serving's REST API does, from SavedModels, with tensorflow and tensorflow-text alone.

    python -I tests/helpers/saved_model_server.py disease=exported/disease

takes directories of numbered versions, of which the newest is served, on a free port, and prints a line of JSON: the
port, and the files of all modules that are loaded. See https://www.tensorflow.org/tfx/serving/api_rest: `instances` in,
`predictions` out, a row each; or `inputs` in, `outputs` out, by column.
"""

import http.server
import json
import os
import re
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf
import tensorflow_text  # noqa: F401  (its operations)


def load(base_path):
    version = max((name for name in os.listdir(base_path) if name.isdigit()), key=int)
    model = tf.saved_model.load(os.path.join(base_path, version))
    signature = model.signatures["serving_default"]
    signature.model = model  # which must live as long
    return signature


def predict(signature, request):
    names = sorted(signature.structured_input_signature[1])
    if "instances" in request:
        rows = [row if isinstance(row, dict) else {names[0]: row} for row in request["instances"]]
        outputs = call(signature, {name: [row[name] for row in rows] for name in names})
        columns = [[(name, value) for value in values] for name, values in outputs.items()]
        return {"predictions": [dict(row) for row in zip(*columns, strict=True)]}
    inputs = request["inputs"]
    outputs = call(signature, inputs if isinstance(inputs, dict) else {names[0]: inputs})
    return {"outputs": outputs}


def call(signature, inputs):
    outputs = signature(**{name: tf.constant(values, tf.string) for name, values in inputs.items()})
    return {name: as_json(tensor.numpy().tolist()) for name, tensor in outputs.items()}


def as_json(value):
    if isinstance(value, list):
        return [as_json(part) for part in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        match = re.fullmatch("/v1/models/([^/:]+):predict", self.path)
        try:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = 200, predict(self.server.signatures[match[1]], request)
        except (KeyError, TypeError, ValueError, tf.errors.OpError) as error:
            status, answer = 400, {"error": repr(error)}
        body = json.dumps(answer, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.signatures = {name: load(path) for name, path in (argument.split("=", 1) for argument in sys.argv[1:])}
    loaded = [path for module in list(sys.modules.values()) if (path := getattr(module, "__file__", None))]
    print(json.dumps({"port": server.server_port, "modules": loaded}), flush=True)
    server.serve_forever()
