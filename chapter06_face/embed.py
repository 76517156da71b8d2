"""Writes the embeddings of a folder of faces, for searching and for TensorBoard's projector.

    python embed.py FOLDER --model RUN
    python embed.py FOLDER --query face.png --k 5        # the nearest faces of the folder
    tensorboard --logdir runs/chapter06_face/embeddings  # then: Projector

The output has embeddings.npz (arrays `embeddings`, `files` and `people`), and what the projector
needs.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector

from chapter06_face import gallery, inference
from chapter06_face.alignment import resize
from chapter06_face.gallery import Face
from chapter06_face.people import Photo, list_photos
from common import cli, images, rundir
from common.errors import exit_status

SPRITE = 64  # height and width of a face in the projector
MAX_SPRITES = 2000  # faces that the projector shows as images: a sprite sheet has 8192² pixels


def write_projector(folder: Path, faces: Sequence[Face], vectors: np.ndarray) -> None:
    """Writes a checkpoint, names and small images of faces for TensorBoard's projector."""
    checkpoint = tf.train.Checkpoint(embedding=tf.Variable(vectors))
    checkpoint.save(str(folder / "embedding.ckpt"))
    lines = [f"{face.photo.person}\t{face.photo.path.name}".replace("\n", " ") for face in faces]
    table = "\n".join(["person\tfile", *lines]) + "\n"
    (folder / "metadata.tsv").write_text(table, "utf-8", "surrogateescape")
    config = projector.ProjectorConfig()
    entry = config.embeddings.add()
    entry.tensor_name = "embedding/.ATTRIBUTES/VARIABLE_VALUE"
    entry.metadata_path = "metadata.tsv"
    if len(faces) <= MAX_SPRITES:
        small = [resize(face.image, SPRITE) for face in faces]
        images.write_png(folder / "sprites.png",
                         images.grid(small, math.ceil(math.sqrt(len(small))), gap=0))
        entry.sprite.image_path = "sprites.png"
        entry.sprite.single_image_dim.extend([SPRITE, SPRITE])
    projector.visualize_embeddings(str(folder), config)


def embed(args: argparse.Namespace) -> None:
    """Embeds all faces and writes them; answers a query."""
    embedder = inference.open_embedder(args)
    finder = gallery.open_finder(args, embedder)
    faces = gallery.find_all(list_photos([args.folder]), finder)
    vectors = gallery.embed(embedder, faces)
    output = Path(args.output_dir or rundir.runs_dir() / "chapter06_face" / "embeddings")
    output.mkdir(parents=True, exist_ok=True)
    paths = np.array([str(face.photo.path) for face in faces])
    np.savez(output / "embeddings.npz", embeddings=vectors, files=paths,
             people=np.array([face.photo.person for face in faces]))
    write_projector(output, faces, vectors)
    print(f"{len(faces)} embeddings of {vectors.shape[1]} numbers: {output}\n"
          f"to see them: tensorboard --logdir {output}")
    if args.query:
        query = Path(args.query)
        [face] = gallery.find(Photo(query, ""), finder)
        row = gallery.distances(gallery.embed(embedder, [face]), vectors)[0]
        print(f"nearest to {query}:")
        others = [i for i in np.argsort(row, kind="stable")
                  if faces[i].photo.path.resolve() != query.resolve()]
        for number in others[: args.k]:
            print(f"{row[number]:.4f}  {paths[number]}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("folder", type=cli.path, help="folder of aligned faces, or of people")
    parser.add_argument("--query", type=cli.path, metavar="IMAGE",
                        help="print the faces that are nearest to this one")
    parser.add_argument("--k", type=cli.positive_int, default=5, help="number of faces to print")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter06_face/embeddings)")
    inference.add_model_flags(parser)
    gallery.add_flags(parser, aligned=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: embed(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
