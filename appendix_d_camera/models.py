"""The exported models of the chapters as functions of one frame.

A SavedModel tells by the names of its outputs what it is for. No code of its chapter is needed: the
preprocessing is inside.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from appendix_d_camera.drawing import draw_boxes
from common.errors import UserError
from common.files import read_json

LEAST_SCORE = 0.5  # of boxes that are drawn

Outputs = dict[str, np.ndarray]  # of a batch of one frame
Call = Callable[[np.ndarray], Outputs]
About = Mapping[str, Any]  # signature.json


class Result(NamedTuple):
    """A processed frame, uint8 of shape (height, width, 3), and what to write on it."""

    image: np.ndarray
    text: str = ""


Process = Callable[[np.ndarray], Result]  # from a frame, uint8 of shape (height, width, 3)


def _picture(output: str) -> Callable[[Call, About], Process]:
    """Returns what makes a process of a model whose output is a picture."""
    return lambda call, about: lambda frame: Result(call(frame)[output][0])


def _labels(call: Call, about: About) -> Process:
    """Makes a process of a classifier: its label and the probability."""
    def process(frame: np.ndarray) -> Result:
        outputs = call(frame)
        label, probability = outputs["labels"][0].decode(), outputs["probabilities"][0].max()
        return Result(frame, f"{label} ({probability:.0%})")

    return process


def _detections(call: Call, about: About) -> Process:
    """Makes a process of a detector, whose boxes are fractions of the frame."""
    def process(frame: np.ndarray) -> Result:
        outputs = {name: value[0] for name, value in call(frame).items()}
        keep = outputs["detection_scores"] >= LEAST_SCORE
        boxes = outputs["detection_boxes"][keep] * np.tile(frame.shape[:2], 2)
        names = [about["classes"][str(int(number))]
                 for number in outputs["detection_classes"][keep]]
        return Result(draw_boxes(frame, boxes, names), f"objects: {len(names)}")

    return process


def _faces(call: Call, about: About) -> Process:
    """Makes a process of the cascade of MTCNN, whose boxes are in pixels, of all frames."""
    def process(frame: np.ndarray) -> Result:
        outputs = call(frame)
        scores = [f"{score:.2f}" for score in outputs["scores"]]
        return Result(draw_boxes(frame, outputs["boxes"], scores), f"faces: {len(scores)}")

    return process


def _captions(call: Call, about: About) -> Process:
    """Makes a process of a network that describes pictures: its most probable caption."""
    return lambda frame: Result(frame, call(frame)["captions"][0, 0].decode())


# By the outputs: the signature to call, and what makes a process of it.
KINDS: dict[tuple[str, ...], tuple[str, Callable[[Call, About], Process]]] = {
    ("labels", "probabilities"): ("pictures", _labels),
    ("detection_boxes", "detection_classes", "detection_scores", "num_detections"):
        ("serving_default", _detections),
    ("boxes", "image", "landmarks", "scores"): ("serving_default", _faces),
    ("stylized",): ("serving_default", _picture("stylized")),
    ("outputs",): ("serving_default", _picture("outputs")),
    ("enlarged",): ("serving_default", _picture("enlarged")),
    ("captions", "probabilities", "scores"): ("serving_default", _captions),
}
ENCODED, FRAMES, BEAM_SIZE = "string (None,)", "uint8 (None, None, None, 3)", 3


def load_model(folder: Path) -> Process:
    """Loads an exported model.

    Args:
        folder: `runs/<chapter>/<name>/export/<n>`.

    Raises:
        UserError: the model is damaged, or takes something else than frames, or returns what cannot
            be shown.
    """
    about = read_json(folder / "signature.json", "export it again")
    signatures = about["signatures"]
    name, make = KINDS.get(tuple(sorted(signatures["serving_default"]["outputs"])), ("", None))
    inputs: Mapping[str, str] = signatures.get(name, {}).get("inputs", {})
    if make is None or not {ENCODED, FRAMES} & set(inputs.values()):
        default = signatures["serving_default"]
        takes = ", ".join(f"{key}: {kind}" for key, kind in default["inputs"].items())
        raise UserError(f"this model takes {takes}, and returns {', '.join(default['outputs'])}",
                        "choose one that README.md lists")
    return make(_make_call(folder, name, inputs), about)


def _make_call(folder: Path, name: str, inputs: Mapping[str, str]) -> Call:
    """Loads a SavedModel; returns a function from a frame to the outputs of a signature."""
    import tensorflow as tf  # takes seconds: only when a model is chosen

    try:
        model = tf.saved_model.load(str(folder))
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{folder} cannot be loaded ({error})", "export it again") from error
    signature = model.signatures[name]
    specs = signature.structured_input_signature[1]

    def argument(key: str, frame: np.ndarray) -> tf.Tensor:
        if inputs[key] == FRAMES:
            return tf.constant(frame[None])
        if inputs[key] == ENCODED:
            return tf.io.encode_png(frame)[None]
        if key == "styles":  # a mixture of all, in equal parts
            count = specs[key].shape[1]
            return tf.fill((1, count), 1 / count)
        return tf.constant([BEAM_SIZE], specs[key].dtype)

    def call(frame: np.ndarray) -> Outputs:
        try:
            outputs = signature(**{key: argument(key, frame) for key in inputs})
        except tf.errors.OpError as error:
            height, width, _ = frame.shape
            raise UserError(f"the model refuses this frame: {error.message.splitlines()[0]}",
                            f"it has {width} x {height} pixels") from error
        return {key: value.numpy() for key, value in outputs.items()}

    call.model = model  # a signature alone does not keep its variables alive
    return call
