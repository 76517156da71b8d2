"""Classifies image files of any size and format.

    python predict.py photo.jpg scan.png
    python predict.py --name book --json photo.jpg

Prints, for each image, the predicted class and the three most probable ones.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from chapter02_cifar import data
from chapter02_cifar.augmentations import centre
from chapter02_cifar.inference import add_mirror_flag, load_run
from common import cli, images
from common.errors import raise_together, try_each


def predict(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Prints the predictions of a run for image files.

    Raises:
        UserError: files could not be read; all others were answered.
    """
    model, names = load_run(args, flags)

    def answer(path: str) -> None:
        picture = data.fit_picture(images.read_image(Path(path)))
        batch = centre(picture[None], model.input_shape[1])
        (row,) = tf.nn.softmax(model(batch, training=False)).numpy()
        best = row.argsort()[::-1][:3]
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
    add_mirror_flag(parser)
    parser.add_argument("pictures", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--json", action=argparse.BooleanOptionalAction, default=False,
                        help="print one JSON object per image, with all probabilities")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(predict, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
