"""Writes how far each photograph is from the centre of its person, to leave mistakes out.

    python filter_metrics.py FOLDER distances.h5 --model RUN
    python train.py --dataset folder --data_dir FOLDER --filter_filename distances.h5 \\
        --filter_percentile 95

The original's calculate_filtering_metrics.py. Collections from the web have faces under wrong
names; they lie far from the centre. The file has `image_list`, `label_list`, `class_names`,
`distance_to_center`.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from chapter06_face import data, inference
from common import cli
from common.errors import exit_status


def distances_to_centers(embeddings: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Returns the distance of each embedding to the mean of its person, of shape (images,)."""
    centers = np.stack([embeddings[people == p].mean(axis=0) for p in range(people.max() + 1)])
    return np.linalg.norm(embeddings - centers[people], axis=1)


def calculate(args: argparse.Namespace) -> None:
    """Embeds all photographs and writes their distances."""
    embedder = inference.open_embedder(args)
    photos, _ = data.load_folder(Path(args.dataset_dir), args.load_size, lambda photo: True)
    distances = distances_to_centers(inference.embed_photos(embedder, photos), photos.people)
    path = Path(args.data_file_name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with h5py.File(part, "w") as file:
        file["image_list"] = [os.fsencode(path) for path in photos.paths]
        file["label_list"] = photos.people
        file["class_names"] = [os.fsencode(name) for name in photos.names]
        file["distance_to_center"] = distances
    part.replace(path)
    far = np.argsort(-distances, kind="stable")[:5]
    print(f"{len(distances)} photographs: {path}; the farthest from the centres of their people:")
    for number in far:
        print(f"{distances[number]:.4f}  {photos.paths[number]}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("dataset_dir", type=cli.path, help="folder of people, aligned")
    parser.add_argument("data_file_name", type=cli.path, metavar="distances.h5", help="output file")
    parser.add_argument("--load_size", type=cli.size, default=182,
                        help="height and width of the images in memory, in pixels")
    inference.add_model_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: calculate(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
