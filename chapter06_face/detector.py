"""Face detectors by flags: MTCNN with published or own weights, or OpenCV's Haar cascade."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np

from chapter06_face import cascade, mtcnn
from chapter06_face.cascade import Faces
from common import checkpoint, cli, files, rundir
from common.errors import UserError

MIN_SIDE = 12  # pixels; no detector finds a face in less

Detect = Callable[[Sequence[np.ndarray]], list[Faces]]


class Detector(NamedTuple):
    """A face detector.

    Attributes:
        name: what messages call it.
        detect: from RGB images, uint8 of shape (height, width, 3), of any sizes, to their faces.
        has_landmarks: whether the faces have landmarks.
    """

    name: str
    detect: Detect
    has_landmarks: bool


SETTINGS = {"minsize": 20.0, "thresholds": (0.6, 0.7, 0.7), "pyramid_factor": cascade.FACTOR,
            "max_side": 1920}  # the defaults of the flags
UNUSED = {"mtcnn": (), "haar": ("mtcnn_weights", "thresholds", "pyramid_factor"),
          "none": ("mtcnn_weights", *SETTINGS)}  # flags without effect


def add_flags(parser: argparse.ArgumentParser, none: bool = False) -> None:
    """Adds the flags that choose a detector; see `settle`.

    Args:
        parser: the parser.
        none: whether `--detector none`, for images that are aligned already, is a choice.
    """
    group = parser.add_argument_group("face detector")
    group.add_argument("--detector", choices=["mtcnn", "haar", *["none"] * none], default="mtcnn",
                       help="mtcnn; haar: OpenCV's Haar cascade, without landmarks and weights"
                            + "; none: the images are aligned faces" * none)
    group.add_argument("--mtcnn_weights", type=cli.run_or_name, metavar="FOLDER|RUN",
                       help="folder of det1.npy, det2.npy and det3.npy, or a run of train_mtcnn.py "
                            "(default: data/mtcnn, downloaded once)")
    group.add_argument("--minsize", type=cli.positive_float,
                       help="side of the smallest face in pixels, of the image as --max_side "
                            "reduces it (default: 20)")
    group.add_argument("--thresholds", type=thresholds,
                       help="least probability of a face in P-, R- and O-Net (default: "
                            "0.6,0.7,0.7)")
    group.add_argument("--pyramid_factor", type=cli.between_0_and_1,
                       help=f"ratio of the sides of two levels of the pyramid (default: "
                            f"{cascade.FACTOR})")
    group.add_argument("--max_side", type=cli.size,
                       help="larger images are reduced to this longer side before detection: "
                            "raise it for small faces in large images (default: 1920)")


def thresholds(text: str) -> tuple[float, ...]:
    """Returns three numbers from 0 to 1 of a comma-separated text (an argparse `type`)."""
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 3 or not all(0 <= number <= 1 for number in numbers):
        raise argparse.ArgumentTypeError(f"{text} is not three numbers such as 0.6,0.7,0.7")
    return numbers


def refuse_unused(args: argparse.Namespace, names: Sequence[str], beside: str) -> None:
    """Raises UserError if one of these flags, whose default is None, was given."""
    for name in names:
        if getattr(args, name) is not None:
            raise UserError(f"--{name} has no effect with {beside}", "omit it")


def settle(args: argparse.Namespace) -> None:
    """Gives the flags that were not typed their defaults.

    Raises:
        UserError: a flag has no effect with this detector.
    """
    refuse_unused(args, UNUSED[args.detector], f"--detector {args.detector}")
    for name, value in SETTINGS.items():
        if getattr(args, name) is None:
            setattr(args, name, value)


def load_networks(weights: str | None) -> dict[str, keras.Model]:
    """Loads the networks of MTCNN.

    Args:
        weights: folder of the published files, or a run of train_mtcnn.py; None for the published
            files, which are downloaded.

    Raises:
        UserError: the weights cannot be read or downloaded.
    """
    networks = mtcnn.build()
    if weights is None:
        folder = files.default_dir("mtcnn")
        for file in mtcnn.PUBLISHED.values():
            try:
                files.fetch(folder / file.name, file.urls, file.sha256)
            except UserError as error:
                raise UserError(str(error), f"{error.hint}; or give the folder that has them, "
                                "--mtcnn_weights FOLDER; or train your own, python train_mtcnn.py, "
                                "and give --mtcnn_weights RUN; or use --detector haar") from error
        mtcnn.load_published(networks, folder)
    elif (Path(weights) / mtcnn.PUBLISHED["pnet"].name).is_file():
        mtcnn.load_published(networks, Path(weights))
    else:
        run = rundir.find_run("chapter06_face", weights)
        if (script := rundir.read_config(run).get("script")) != "train_mtcnn.py":
            raise UserError(f"{run} was made by {script}, it has no detector",
                            "give --mtcnn_weights RUN of train_mtcnn.py")
        checkpoint.load(run, "latest", **networks)
    return networks


def reduced(image: np.ndarray, max_side: int) -> tuple[np.ndarray, float]:
    """Returns an image of at most `max_side` pixels, and how much larger the original is."""
    ratio = max(1.0, max(image.shape[:2]) / max_side)
    if ratio == 1:
        return image, 1.0
    size = tuple(max(1, round(side / ratio)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA), ratio


def open_mtcnn(args: argparse.Namespace) -> Detector:
    """Opens MTCNN with the flags of `add_flags`; images of equal sizes are one batch."""
    run = cascade.make_cascade(load_networks(args.mtcnn_weights), args.minsize,
                               args.pyramid_factor, args.thresholds)

    def detect(images: Sequence[np.ndarray]) -> list[Faces]:
        smaller = [reduced(image, args.max_side) for image in images]
        found: dict[int, Faces] = {}
        for shape in {image.shape for image, _ in smaller}:
            numbers = [i for i, (image, _) in enumerate(smaller) if image.shape == shape]
            batch = np.stack([smaller[i][0] for i in numbers])
            for i, faces in zip(numbers, cascade.split_by_image(run(batch), len(numbers)),
                                strict=True):
                ratio = smaller[i][1]
                found[i] = faces._replace(boxes=faces.boxes * ratio,
                                          landmarks=faces.landmarks * ratio)
        return [found[i] for i in range(len(images))]

    return Detector("MTCNN", detect, True)


def open_haar(args: argparse.Namespace) -> Detector:
    """Opens OpenCV's Haar cascade of frontal faces (Viola and Jones 2001).

    Its score is the weight of the last stage, mapped to (0, 1) by the logistic function.
    """
    path = Path(cv2.data.haarcascades) / "haarcascade_frontalface_default.xml"
    haar, side = cv2.CascadeClassifier(str(path)), round(max(args.minsize, 1))

    def one(image: np.ndarray) -> Faces:
        smaller, ratio = reduced(image, args.max_side)
        grey = cv2.cvtColor(smaller, cv2.COLOR_RGB2GRAY)
        boxes, _, weights = haar.detectMultiScale3(
            grey, 1.1, 5, minSize=(side, side), outputRejectLevels=True)
        boxes = np.reshape(boxes, (-1, 4)).astype(np.float32)  # x, y, width, height
        edges = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)[:, [1, 0, 3, 2]]
        scores = 1 / (1 + np.exp(-np.reshape(weights, -1)))
        order = np.argsort(-scores, kind="stable")
        return Faces(edges[order] * ratio, scores[order].astype(np.float32),
                     np.zeros((len(boxes), 0, 2), np.float32))

    return Detector("the Haar cascade", lambda images: list(map(one, images)), False)


def whole(image: np.ndarray) -> Faces:
    """Returns the whole image as one face: that of `--detector none`."""
    box = np.array([[0, 0, *image.shape[:2]]], np.float32)
    return Faces(box, np.ones(1, np.float32), np.zeros((1, 0, 2), np.float32))


def open_detector(args: argparse.Namespace) -> Detector:
    """Opens the detector that the flags of `add_flags` choose.

    Raises:
        UserError: its weights cannot be used, or flags have no effect.
    """
    settle(args)
    if args.detector == "none":
        return Detector("none", lambda images: list(map(whole, images)), False)
    opened = (open_mtcnn if args.detector == "mtcnn" else open_haar)(args)

    def detect(images: Sequence[np.ndarray]) -> list[Faces]:
        """Leaves out images that no detector can take."""
        large = [i for i, image in enumerate(images) if min(image.shape[:2]) >= MIN_SIDE]
        found = dict(zip(large, opened.detect([images[i] for i in large]), strict=True))
        nothing = Faces(np.zeros((0, 4), np.float32), np.zeros(0, np.float32),
                        np.zeros((0, 5, 2), np.float32))
        return [found.get(i, nothing) for i in range(len(images))]

    return opened._replace(detect=detect)
