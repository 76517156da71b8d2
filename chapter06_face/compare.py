"""Prints the distances of faces, and which are of one person (book, section 6.4.5).

    python compare.py 1.jpg 2.jpg 3.jpg --model RUN
    python compare.py 1.png 2.png --detector none           # aligned faces
    python compare.py 1.jpg 2.jpg --model 20170512-110547.pb --threshold 1.1

Distances lie between 0 and 2. The threshold is that of the model's thresholds.json, which eval.py
and validate_on_lfw.py write: without --far, the one with the best balanced accuracy.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter06_face import gallery, inference
from chapter06_face.people import Photo
from common import cli
from common.errors import UserError, exit_status, raise_together, try_each


def compare(args: argparse.Namespace) -> None:
    """Prints the matrix of distances and what the threshold makes of it."""
    embedder = inference.open_embedder(args)
    finder = gallery.open_finder(args, embedder)
    faces: list[gallery.Face] = []

    def look(file: str) -> None:
        faces.extend(gallery.find(Photo(Path(file), ""), finder))

    errors = try_each(look, args.files)
    if len(faces) < 2:
        raise_together(errors)
        raise UserError(f"{len(args.files)} image", "give at least two images")
    vectors = gallery.embed(embedder, faces)
    matrix = gallery.distances(vectors, vectors)
    print("images:")
    for number, face in enumerate(faces):
        print(f"{number}: {face.photo.path}")
    print("\ndistances:\n" + " " * 4 + "".join(f"{n:>9}" for n in range(len(faces))))
    for number, row in enumerate(matrix):
        print(f"{number:>4}" + "".join(f"{value:9.4f}" for value in row))
    threshold = args.threshold or inference.threshold_of(embedder, args.far)
    if threshold is None:
        print(f"\nwhich are of one person? {embedder.name} has no thresholds.json: evaluate it "
              "(eval.py, validate_on_lfw.py), or give --threshold")
    else:
        print(f"\nbelow {threshold:.4f}, one person:")
        for first in range(len(faces)):
            for second in range(first + 1, len(faces)):
                same = matrix[first, second] < threshold
                print(f"{first} and {second}: {'same person' if same else 'different people'}")
    raise_together(errors)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("files", nargs="+", metavar="FILE", help="images with one face each")
    inference.add_model_flags(parser)
    inference.add_threshold_flags(parser)
    gallery.add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
