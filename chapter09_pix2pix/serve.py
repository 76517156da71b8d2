"""Serves exported runs over HTTP, with a page to draw inputs on.

    python export.py && python serve.py          # then open http://127.0.0.1:8000
    curl --data-binary @map.png http://127.0.0.1:8000/NAME > output.png

GET / is the page, GET /health names the models, POST /NAME takes an image and returns another.
Errors are JSON: 400 for what is no image, 404 for an unknown model, 413 for more than 1 MB, 503 if
too many requests wait, 500 for a fault of the service, which listens on the loopback address unless
--addr says otherwise.
"""

import argparse
import io
import json
import os
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import tensorflow as tf
from PIL import Image

from chapter09_pix2pix.drawn import PARTS
from chapter09_pix2pix.inference import MAX_PIXELS
from common import cli, files, rundir
from common.errors import UserError, exit_status

MAX_BYTES = 1 << 20  # of a request
MAX_DRAINED = 16  # of these are read of a request that is too large
SECONDS = 30  # that a client may take to send its request
PAGE = Path(__file__).with_name("drawing.html")

Model = Callable[[bytes], bytes]


class Refused(Exception):  # noqa: N818 - an answer to the client, not an error of the service
    """A request that is answered by an error."""

    def __init__(self, status: HTTPStatus, message: str):
        """Stores the status and the message of the answer."""
        super().__init__(message)
        self.status = status


def load_models(folder: Path) -> tuple[dict[str, Model], dict[str, dict[str, Any]]]:
    """Loads the newest exports of all runs of a chapter.

    Returns functions of bytes, and what they are, by the names of the runs.

    Raises:
        UserError: there is none.
    """
    models, about = {}, {}
    for path in sorted(folder.glob("*/export")):
        for newest in files.exports(path)[-1:]:
            name = path.parent.name
            models[name] = make_model(tf.saved_model.load(str(newest)))
            about[name] = files.read_json(newest / "signature.json", "export it again")
    if not models:
        raise UserError(f"no run in {folder} is exported", "python export.py")
    return models, about


def make_model(loaded: Any) -> Model:
    """Returns a function from the bytes of an image to those of the output."""
    def model(encoded: bytes) -> bytes:
        outputs = loaded.signatures["pictures"](encoded=tf.constant([encoded]))
        return outputs["outputs_bytes"].numpy()[0]

    return model


def check_image(encoded: bytes) -> None:
    """Raises Refused unless bytes begin as an image of a reasonable size does.

    A small file may hold a large image.
    """
    too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            pixels, size = image.width * image.height, f"{image.width} x {image.height}"
    except Image.DecompressionBombError as error:
        raise Refused(too_large, f"the image has more than {MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "this is no PNG, JPEG, BMP or GIF") from error
    if pixels > MAX_PIXELS:
        raise Refused(too_large,
                      f"the image has {size} pixels, more than {MAX_PIXELS:,}")


def make_page(about: dict[str, dict[str, Any]]) -> bytes:
    """Returns the page, with the models and their sizes, and the colours to draw with."""
    def script(value: Any) -> str:
        return json.dumps(value).replace("<", "\\u003c")

    colours = {name: f"rgb{colour}" for name, colour in PARTS.items()}
    colours |= {"black": "rgb(0, 0, 0)", "white": "rgb(255, 255, 255)"}
    sizes = {name: facts["crop_size"] for name, facts in about.items()}
    text = PAGE.read_text(encoding="utf-8")
    text = text.replace("{{MODELS}}", script(sizes)).replace("{{COLOURS}}", script(colours))
    return text.encode()


class Service(NamedTuple):
    """What the handler of requests needs.

    Attributes:
        models: functions from the bytes of an image to those of the output, by name.
        about: their signature.json.
        page: the page to draw on.
        gate: limits how many images are translated at a time.
        wait: seconds that a request waits for its turn.
        origin: a site whose pages may use the service.
    """

    models: dict[str, Model]
    about: dict[str, dict[str, Any]]
    page: bytes
    gate: threading.BoundedSemaphore
    wait: float
    origin: str | None


def translate(service: Service, name: str, encoded: bytes) -> bytes:
    """Returns the output for the bytes of an image.

    Raises:
        Refused: the model or the image is not acceptable, or too many wait.
    """
    if name not in service.models:
        raise Refused(HTTPStatus.NOT_FOUND, f"there is no model {name!r}; there are "
                                            f"{', '.join(sorted(service.models))}")
    check_image(encoded)
    if not service.gate.acquire(timeout=service.wait):
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests: try again")
    try:
        return service.models[name](encoded)
    except tf.errors.InvalidArgumentError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "the image cannot be decoded") from error
    finally:
        service.gate.release()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one client."""

    timeout = SECONDS
    service: Service

    def answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        """Sends an answer."""
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))),
                            ("X-Content-Type-Options", "nosniff"), ("Connection", "close")):
            self.send_header(name, value)
        if self.service.origin:
            for name, value in (("Origin", self.service.origin), ("Methods", "GET, POST"),
                                ("Headers", "Content-Type")):
                self.send_header(f"Access-Control-Allow-{name}", value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status: HTTPStatus, value: Any) -> None:
        """Sends a JSON object."""
        self.answer(status, "application/json", json.dumps(value).encode())

    def read_body(self) -> bytes:
        """Returns the body of the request.

        Raises:
            Refused: its length is not given, or too large.
        """
        length = self.headers.get("Content-Length") or ""
        if not length.isdecimal():
            raise Refused(HTTPStatus.BAD_REQUEST, "the request has no Content-Length")
        if int(length) > MAX_BYTES:
            for _ in range(min(int(length) // MAX_BYTES, MAX_DRAINED)):
                self.rfile.read(MAX_BYTES)  # a client reads the answer when it has sent all
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                          f"the image has {int(length):,} bytes, more than {MAX_BYTES:,}")
        return self.rfile.read(int(length))

    def do_GET(self) -> None:
        """Sends the page, or the names of the models."""
        path = urlsplit(self.path).path
        if path == "/":
            self.answer(HTTPStatus.OK, "text/html; charset=utf-8", self.service.page)
        elif path == "/health":
            self.answer_json(HTTPStatus.OK,
                             {"status": "ok", "models": sorted(self.service.models)})
        else:
            self.answer_json(HTTPStatus.NOT_FOUND, {"error": f"there is no {path}"})

    def do_OPTIONS(self) -> None:
        """Answers a browser that asks what a page of another site may send."""
        self.answer(HTTPStatus.NO_CONTENT, "text/plain", b"")

    def do_POST(self) -> None:
        """Sends the output for an image."""
        name = unquote(urlsplit(self.path).path.removeprefix("/"))
        try:
            made = translate(self.service, name, self.read_body())
        except Refused as refused:
            return self.answer_json(refused.status, {"error": str(refused)})
        except ConnectionError:  # the client has gone
            raise
        except Exception as error:
            self.log_error("%s: %r", name, error)
            return self.answer_json(HTTPStatus.INTERNAL_SERVER_ERROR,
                                    {"error": "the image could not be translated"})
        kind = self.service.about[name].get("output_filetype", "png")
        return self.answer(HTTPStatus.OK, f"image/{kind}", made)


def make_server(args: argparse.Namespace) -> ThreadingHTTPServer:
    """Returns a server that has loaded its models and listens.

    Raises:
        UserError: no run is exported, or the port is taken.
    """
    folder = Path(args.local_models_dir or rundir.runs_dir() / "chapter09_pix2pix")
    models, about = load_models(folder)
    service = Service(models, about, make_page(about), threading.BoundedSemaphore(args.jobs),
                      args.wait, args.origin)
    try:
        return ThreadingHTTPServer((args.addr, args.port),
                                   type("Handler", (Handler,), {"service": service}))
    except OSError as error:
        raise UserError(f"cannot listen on {args.addr}:{args.port}: {error.strerror}",
                        "give another --port; 0 takes a free one") from error


def serve(args: argparse.Namespace) -> None:
    """Serves until Ctrl-C."""
    with make_server(args) as server:
        host, port = server.server_address[:2]
        print(f"open http://{host}:{port}; Ctrl-C stops", flush=True)
        server.serve_forever()


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--local_models_dir", type=cli.path,
                        help="folder of runs, of which the exported ones are served (default: all "
                             "of this chapter)")
    parser.add_argument("--addr", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=cli.number(int, 0, 65535, "a port from 0 to 65535"),
                        default=8000, help="port to listen on; 0: a free one")
    parser.add_argument("--origin", help="a site whose pages may use the service (CORS)")
    parser.add_argument("--jobs", type=cli.small_int, default=os.cpu_count() or 1,
                        help="images that are translated at a time")
    parser.add_argument("--wait", type=cli.non_negative_float, default=10.0,
                        help="seconds that a request waits for its turn")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: serve(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
