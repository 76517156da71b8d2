"""Images per second of MTCNN: our cascade, one graph, and the package `mtcnn` 1.0 of the index.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter06_face

Both have the published weights, the same thresholds and the same two photographs at 640 x 480
pixels, with four and with five faces, and both must find the same number of faces. Reading the file
is left out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks import harness

SETTINGS = {"four faces": {"photo": "bbt1.jpg"}, "five faces": {"photo": "bbt3.jpg"}}


def photograph(setting: dict[str, Any]) -> np.ndarray:
    """Returns a photograph, uint8 of shape (480, 640, 3)."""
    from common import images

    image = images.read_image(harness.data_folder() / "faces" / "photos" / setting["photo"])
    return cv2.resize(image, (640, 480), interpolation=cv2.INTER_AREA)


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 6's cascade."""
    from chapter06_face import cascade, mtcnn

    networks = mtcnn.build()
    mtcnn.load_published(networks, harness.data_folder() / "faces" / "mtcnn")
    run, images = cascade.make_cascade(networks), photograph(setting)[None]
    return lambda: float(len(run(images)["scores"].numpy())), 1


def package(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures the package `mtcnn`."""
    import keras
    from mtcnn import MTCNN

    keras.utils.disable_interactive_logging()  # it prints a bar for each network
    detector, image = MTCNN(), photograph(setting)
    return lambda: float(len(detector.detect_faces(image))), 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    return harness.run("chapter06_face", "images/s", {"ours": ours, "mtcnn": package}, SETTINGS,
                       argv, 0.0)


if __name__ == "__main__":
    raise SystemExit(main())
