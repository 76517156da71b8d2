"""Writes models for programs without TensorFlow: LiteRT and ONNX files, verified there.

`export/litert/model.tflite` and `export/onnx/model.onnx` have a signature.json beside them.
"""

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.errors import UserError, hint_for
from common.export import compare
from common.files import write_json

FORMATS = {"litert": "model.tflite", "onnx": "model.onnx"}
PACKAGES = {"litert": ["ai_edge_litert"], "onnx": ["onnx", "onnxruntime", "tf2onnx"]}

# Runs in a fresh process without TensorFlow. Both runtimes take batches of any size.
CLIENTS = {"litert": """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model, inputs, outputs = sys.argv[1:]
run = Interpreter(model).get_signature_runner()
np.savez(outputs, **run(**np.load(inputs)))
assert "tensorflow" not in sys.modules
""", "onnx": """
import sys
import numpy as np
import onnxruntime
model, inputs, outputs = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
names = [output.name for output in session.get_outputs()]
np.savez(outputs, **dict(zip(names, session.run(names, dict(np.load(inputs))))))
assert "tensorflow" not in sys.modules
"""}


class Signature(keras.Model):
    """A function of one tensor, with the model whose variables it reads, as Keras exports it."""

    def __init__(self, model: Any, function: Callable[[tf.Tensor], dict[str, tf.Tensor]]):
        """Keeps both."""
        super().__init__()
        self.model, self.function = model, function

    def call(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """Calls the function."""
        return self.function(inputs)


def add_flag(parser: argparse.ArgumentParser) -> None:
    """Adds `--format`."""
    parser.add_argument("--format", choices=["saved_model", *FORMATS], default="saved_model",
                        help="what is written: a SavedModel, or a file for LiteRT or ONNX Runtime, "
                             "of raw images only")


def missing(kind: str) -> list[str]:
    """Returns the packages that a format needs and that are not installed."""
    return [name for name in PACKAGES[kind] if not importlib.util.find_spec(name)]


def write(
    run_dir: Path,
    kind: str,
    model: Any,
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    example: dict[str, np.ndarray],
    about: dict[str, Any],
) -> None:
    """Writes `export/<kind>/`, if a process without TensorFlow gets the same outputs from it.

    Replaces what an earlier call wrote. Prints the folder on success.

    Args:
        run_dir: the run folder.
        kind: a key of FORMATS.
        model: a Keras model or another trackable with the variables of the function.
        function: from a batch to a dict of tensors, all numbers.
        example: the input by its name, a batch; batches of any size are accepted.
        about: further entries of signature.json, besides names, shapes and types.

    Raises:
        UserError: packages are missing, the disk is full, or the outputs differ.
    """
    if names := missing(kind):
        raise UserError(f"--format {kind} needs packages that are not installed: {' '.join(names)}",
                        'pip install -e ".[formats]" in the folder of the repository')
    folder = run_dir / "export" / kind
    part = folder.with_name(f"{kind}.part")
    shutil.rmtree(part, ignore_errors=True)
    ((name, batch),) = example.items()
    wrapped = Signature(model, function)
    spec = keras.InputSpec(shape=(None, *batch.shape[1:]), dtype=batch.dtype.name, name=name)
    expected = wrapped(tf.constant(batch))
    try:
        part.mkdir(parents=True)
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # Keras' own
            wrapped.export(part / FORMATS[kind], format=kind, verbose=False, input_signature=[spec])
    except OSError as error:
        raise UserError(f"cannot write {part}: {error}", hint_for(error)) from error
    except Exception as error:  # the converters raise anything for an operation they do not have
        raise UserError(f"{kind} cannot express this network: {error}",
                        "use --format saved_model") from error
    found = call(kind, part / FORMATS[kind], example)
    for key, value in expected.items():
        compare(f"{part}: {key}", value, found[key])
    write_json(part / "signature.json", about | {
        "inputs": {name: f"{batch.dtype} (None, {', '.join(map(str, batch.shape[1:]))})"},
        "outputs": {key: f"{value.dtype.name} (None, {', '.join(map(str, value.shape[1:]))})"
                    for key, value in expected.items()}})
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    print(f"wrote {folder}; a process without TensorFlow gets the same outputs as the model")


def call(kind: str, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the outputs of a file in a process without TensorFlow.

    Raises:
        UserError: the process fails.
    """
    with tempfile.TemporaryDirectory() as work:
        np.savez(f"{work}/inputs.npz", **inputs)
        client = subprocess.run(
            [sys.executable, "-I", "-c", CLIENTS[kind], str(path), f"{work}/inputs.npz",
             f"{work}/outputs.npz"], capture_output=True, text=True, check=False)
        if client.returncode:
            last = (client.stderr.strip() or f"exit status {client.returncode}").splitlines()[-1]
            raise UserError(f"another process cannot use {path}: {last}", "report this as a bug")
        return dict(np.load(f"{work}/outputs.npz"))
