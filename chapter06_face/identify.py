"""Names the faces in photographs by a gallery of known people, or says "unknown".

    python identify.py GALLERY photo.jpg FOLDER --model RUN
    python identify.py GALLERY photo.jpg --far 0.001
    python identify.py GALLERY probe.png --detector none     # gallery and probe are aligned

GALLERY has one folder per person. Each face gets the name of the nearest one in the gallery, unless
its distance exceeds the threshold, see compare.py.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chapter06_face import gallery, inference
from chapter06_face.people import Photo, list_people, list_photos
from common import cli
from common.errors import UserError, exit_status, raise_together, try_each


def identify(args: argparse.Namespace) -> None:
    """Prints a line per face of the probes."""
    embedder = inference.open_embedder(args)
    threshold = args.threshold or inference.threshold_of(embedder, args.far)
    if threshold is None:
        raise UserError(f"{embedder.name} has no thresholds.json, so that nobody could be unknown",
                        "evaluate it (eval.py, validate_on_lfw.py), or give --threshold")
    finder = gallery.open_finder(args, embedder)
    known = gallery.find_all(list_people(Path(args.gallery)), finder)
    vectors = gallery.embed(embedder, known)
    people = np.array([face.photo.person for face in known])

    def look(photo: Photo) -> None:
        for face in gallery.find(photo, finder, every=True):
            row = gallery.distances(gallery.embed(embedder, [face]), vectors)[0]
            order = np.argsort(row, kind="stable")
            name = people[order[0]] if row[order[0]] < threshold else "unknown"
            top, left, bottom, right = map(int, face.box)
            print(f"{photo.path}: {name}, at ({left}, {top}) to ({right}, {bottom}); nearest "
                  f"{people[order[0]]} at {row[order[0]]:.4f}, threshold {threshold:.4f}")

    raise_together(try_each(look, list_photos(args.probes)))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("gallery", type=cli.path, help="folder of known people")
    parser.add_argument("probes", nargs="+", metavar="PROBE", help="images or folders")
    inference.add_model_flags(parser)
    inference.add_threshold_flags(parser)
    gallery.add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: identify(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
