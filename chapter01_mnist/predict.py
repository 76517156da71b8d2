"""Classifies your own images: PNG or JPEG, any size, dark on light or light on dark.

    python predict.py photo.jpg scan.png
    python predict.py --name conv --json photo.jpg

Prints the predicted class of each image and the three highest probabilities.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from chapter01_mnist import data
from chapter01_mnist.inference import load_run
from common import cli, images
from common.errors import raise_together, try_each


def predict(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints the predictions of a run for image files.

    Raises:
        UserError: files could not be read; all others were answered.
    """
    model, names = load_run(args, flags)
    centre = flags.dataset != "fashion_mnist"

    def answer(path: str) -> None:
        image = data.prepare_image(images.read_image(Path(path)), centre)
        (row,) = tf.nn.softmax(model(data.scale(image[None]), training=False)).numpy()
        best = row.argsort()[::-1][:3]
        if not tf.reduce_any(image > 0):
            print(f"{path}: no ink found", file=sys.stderr)
        if args.json:
            named = {name: float(p) for name, p in zip(names, row, strict=True)}
            shown = {"file": path, "label": names[best[0]], "probabilities": named}
            print(json.dumps(shown, ensure_ascii=False))
        else:
            print(f"{path}: {names[best[0]]}   "
                  + "  ".join(f"{names[i]} {row[i]:.1%}" for i in best))

    raise_together(try_each(answer, args.pictures))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("pictures", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print one JSON object per image, with all probabilities")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(predict, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
