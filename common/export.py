"""Writes SavedModels and verifies them in another process.

`export/<n>/`, with n counting up, is the layout of TensorFlow Serving. Its `signature.json`
describes inputs and outputs.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from common.errors import UserError, hint_for
from common.files import exports, write_json

TOLERANCE = 1e-5

# Runs in a fresh process without Keras and without the modules of this repository.
CLIENT = """
import sys
sys.modules["keras"] = None
import json
import tensorflow as tf
folder, work = sys.argv[1:]
model = tf.saved_model.load(folder)
for name, inputs in json.load(open(work + "/calls.json")).items():
    read = lambda key, dtype: tf.io.parse_tensor(tf.io.read_file(f"{work}/{name}.{key}"), dtype)
    outputs = model.signatures[name](**{key: read(key, dtype) for key, dtype in inputs.items()})
    for key, value in outputs.items():
        tf.io.write_file(f"{work}/{name}.{key}.out", tf.io.serialize_tensor(value))
ours = [module for module in sys.modules if module.startswith(("chapter", "appendix", "common"))]
assert not ours, f"the export needs {ours}"
"""


def write(
    run_dir: Path,
    model: Any,
    signatures: Mapping[str, tuple[Callable[..., dict[str, Any]], dict[str, tf.TensorSpec]]],
    examples: Mapping[str, dict[str, Any]],
    about: dict[str, Any],
) -> None:
    """Writes `export/<n>/`, if a fresh process gets the same outputs from it as from the model.

    n is 1, or one more than the newest. Earlier versions stay: a server that watches `export/`
    loads the new one, and can return to them. Prints the folder on success.

    Args:
        run_dir: the run folder.
        model: a Keras model or another trackable with the variables of the functions.
        signatures: by name, a function that returns a dict of tensors, and the specs of its
            arguments.
        examples: inputs of each signature to compare outputs on, which must be deterministic.
        about: further entries of signature.json, besides names, shapes and types.

    Raises:
        UserError: the disk is full, or the outputs of the export and the model differ.
    """
    parent = run_dir / "export"
    number = int(exports(parent)[-1].name) + 1 if exports(parent) else 1
    folder, part = parent / str(number), parent / f"{number}.part"
    shutil.rmtree(part, ignore_errors=True)
    archive = keras.export.ExportArchive()
    archive.track(model)
    live = {}
    for name, (function, specs) in signatures.items():
        specs = {key: tf.TensorSpec(s.shape, s.dtype, name=key) for key, s in specs.items()}
        traced = tf.function(function, input_signature=list(specs.values()))
        archive.add_endpoint(name, traced)
        live[name] = traced(*(tf.convert_to_tensor(examples[name][key]) for key in specs))
    try:
        archive.write_out(str(part), verbose=False)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"cannot write {part}: {error}", hint_for(error)) from error
    _verify(part, live, examples)
    write_json(part / "signature.json", about | {"signatures": _describe(part)})
    part.replace(folder)
    print(f"wrote {folder}; a fresh process gets the same outputs as the model")


def allow_empty(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function of a batch of images that takes an empty batch too.

    TensorFlow's convolutions refuse one. The function then gets a batch of one black image, and
    none of its outputs are returned.
    """
    def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
        count = tf.shape(images)[0]
        more = tf.cast(tf.equal(count, 0), tf.int32)
        outputs = function(tf.pad(images, [[0, more], *[[0, 0]] * (images.shape.rank - 1)]))
        return {name: output[:count] for name, output in outputs.items()}

    return call


def same_in_all(name: str, values: tf.Tensor, default: float) -> tf.Tensor:
    """Returns the value of a setting that is the same in all rows of a request.

    A setting that belongs to the whole batch, such as the width of a beam, is given in every row
    too: TensorFlow Serving sends rows. No row gives the default.

    Args:
        name: of the input, for the message.
        values: of shape (count,).
        default: the value without rows.
    """
    check = tf.debugging.Assert(tf.reduce_all(values == values[:1]),
                                [f"{name} must be the same in all rows, not", values])
    with tf.control_dependencies([check]):
        return tf.concat([values, [default]], axis=0)[0]


def encoded_images(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    decode: Callable[[tf.Tensor], tf.Tensor],
    image: tf.TensorSpec,
) -> tuple[Callable[..., dict[str, tf.Tensor]], dict[str, tf.TensorSpec]]:
    """Returns a signature that takes encoded images: `encoded`, a string vector.

    Args:
        function: maps a batch of images to outputs.
        decode: maps the bytes of one image to an image of the size that `function` takes.
        image: shape and type of a decoded image.
    """
    def call(encoded: tf.Tensor) -> dict[str, tf.Tensor]:
        return function(tf.map_fn(decode, encoded, fn_output_signature=image))

    return call, {"encoded": tf.TensorSpec((None,), tf.string)}


def _describe(folder: Path) -> dict[str, Any]:
    """Returns names, types and shapes of all inputs and outputs of a SavedModel."""
    described = {}
    for name, function in tf.saved_model.load(str(folder)).signatures.items():
        inputs = function.structured_input_signature[1]
        described[name] = {
            side: {key: f"{spec.dtype.name} {spec.shape}" for key, spec in sorted(specs.items())}
            for side, specs in (("inputs", inputs), ("outputs", function.structured_outputs))
        }
    return described


def _verify(
    folder: Path, live: Mapping[str, dict[str, Any]], examples: Mapping[str, dict[str, Any]]
) -> None:
    """Raises UserError unless a SavedModel gives the outputs of the model in a fresh process."""
    calls = {
        name: {key: tf.convert_to_tensor(value) for key, value in inputs.items()}
        for name, inputs in examples.items()
    }
    with tempfile.TemporaryDirectory() as work:
        types = {name: {k: t.dtype.name for k, t in x.items()} for name, x in calls.items()}
        Path(work, "calls.json").write_text(json.dumps(types), encoding="utf-8")
        for name, inputs in calls.items():
            for key, tensor in inputs.items():
                tf.io.write_file(f"{work}/{name}.{key}", tf.io.serialize_tensor(tensor))
        client = subprocess.run(
            [sys.executable, "-I", "-c", CLIENT, str(folder), work],
            capture_output=True, text=True, check=False,
        )
        if client.returncode:
            last = (client.stderr.strip() or f"exit status {client.returncode}").splitlines()[-1]
            raise UserError(f"another process cannot use {folder}: {last}", "report this as a bug")
        for name, outputs in live.items():
            for key, expected in outputs.items():
                raw = tf.io.read_file(f"{work}/{name}.{key}.out")
                found = tf.io.parse_tensor(raw, expected.dtype)
                compare(f"{folder}: {name}.{key}", expected.numpy(), found.numpy())


def compare(what: str, expected: Any, found: Any) -> None:
    """Raises UserError unless two arrays are equal, floats to 1e-5."""
    expected, found = np.asarray(expected), np.asarray(found)
    if np.issubdtype(expected.dtype, np.floating):
        same = expected.shape == found.shape and np.allclose(
            expected, found, atol=TOLERANCE, rtol=TOLERANCE
        )
    else:
        same = np.array_equal(expected, found)
    if not same:
        raise UserError(f"{what} differs between model and export", "report this as a bug")
