"""Sends rows to a model of TensorFlow Serving over HTTP. Needs Python alone.

    python docs/client.py http://127.0.0.1:8501/v1/models/digits:predict pictures @digit.png
    python docs/client.py http://127.0.0.1:8501/v1/models/poems:predict serving_default \
        '{"start_string": "春", "length": 30, "temperature": 1.0, "seed": 0}'

After the address and the signature come rows, in JSON. `@FILE` stands for the bytes of a file, as a
row or as an input of one. Images among the outputs are saved as output-1.png and so on.
"""

import base64
import itertools
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def predict(url: str, signature: str, rows: Sequence[Any]) -> list[Any]:
    """Returns for each row a dict of outputs, or the output itself where a signature has one.

    A row is a dict of inputs, or the input itself. Bytes travel as base64, in both directions.
    Raises ValueError with the message of the server, or OSError if there is none.
    """
    body = json.dumps({"signature_name": signature, "instances": rows},
                      default=lambda data: {"b64": base64.b64encode(data).decode()}).encode()
    try:
        with urllib.request.urlopen(url, body, timeout=60) as answer:
            return json.load(answer, object_hook=lambda value: base64.b64decode(value["b64"])
                             if value.keys() == {"b64"} else value)["predictions"]
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode(errors="replace")) from error


def main(url: str, signature: str, *texts: str) -> None:
    """Prints one line of JSON for each row."""
    def read(value: Any) -> Any:
        return Path(value[1:]).read_bytes() if str(value).startswith("@") else value

    def save(image: bytes) -> str:
        path = Path(f"output-{next(numbers)}.{'png' if b'PNG' in image[:4] else 'jpg'}")
        path.write_bytes(image)
        return str(path)

    numbers = itertools.count(1)
    rows = [read(text) if text.startswith("@") else json.loads(text, object_hook=lambda row: {
        name: read(value) for name, value in row.items()}) for text in texts]
    for prediction in predict(url, signature, rows):
        print(json.dumps(prediction, ensure_ascii=False, default=save))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:]) if len(sys.argv) > 3 else sys.exit(__doc__)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
