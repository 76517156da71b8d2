"""Groups the faces of a folder by person, without knowing anybody (book, section 6.3).

    python cluster.py FOLDER --model RUN                          # as many groups as it finds
    python cluster.py FOLDER --method kmeans --num_clusters 10    # as in the book
    python cluster.py FOLDER --method dbscan

All methods but K-means go by the threshold, see compare.py, and need no number of groups. If FOLDER
has one folder per person, the groups are compared with the people by the adjusted Rand index: 1 if
they agree, about 0 for random groups.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn.cluster
import sklearn.metrics

from chapter06_face import gallery, inference
from chapter06_face.alignment import resize
from chapter06_face.people import list_photos
from common import cli, files, images, rundir
from common.errors import UserError, exit_status

SHOWN = 12  # faces of a group on the sheet


def group(vectors: np.ndarray, args: argparse.Namespace, threshold: float | None) -> np.ndarray:
    """Returns the group of each face from 0, int of shape (faces,); -1: of no group (DBSCAN)."""
    if args.method == "kmeans":
        machine = sklearn.cluster.KMeans(args.num_clusters, n_init=10, random_state=args.seed)
        return machine.fit_predict(vectors)
    distances = gallery.distances(vectors, vectors)
    np.fill_diagonal(distances, 0)
    if args.method == "dbscan":
        machine = sklearn.cluster.DBSCAN(eps=threshold, min_samples=2, metric="precomputed")
    else:
        machine = sklearn.cluster.AgglomerativeClustering(
            n_clusters=None, metric="precomputed", linkage="average", distance_threshold=threshold)
    return machine.fit_predict(distances)


def short(face: gallery.Face) -> str:
    """Returns the file of a face with its folder."""
    return "/".join(face.photo.path.parts[-2:])


def cluster(args: argparse.Namespace) -> dict[str, float]:
    """Groups all faces, prints the groups and draws them."""
    embedder = inference.open_embedder(args)
    threshold = args.threshold or inference.threshold_of(embedder, args.far)
    if args.method == "kmeans" and not args.num_clusters:
        raise UserError("--method kmeans without --num_clusters", "give the number of groups")
    if args.method != "kmeans" and args.num_clusters:
        raise UserError(f"--num_clusters has no effect with --method {args.method}", "omit it")
    if args.method == "kmeans" and (args.threshold or args.far):
        raise UserError("--method kmeans has no threshold", "omit --threshold and --far")
    if args.method != "kmeans" and threshold is None:
        raise UserError(f"{embedder.name} has no thresholds.json",
                        "evaluate it (eval.py, validate_on_lfw.py), or give --threshold")
    faces = gallery.find_all(list_photos([args.folder]),
                             gallery.open_finder(args, embedder))
    if len(faces) < max(2, args.num_clusters or 0):
        raise UserError(f"{len(faces)} faces", "give more of them than groups, at least two")
    groups = group(gallery.embed(embedder, faces), args, threshold)
    rows = []
    for number in range(groups.max() + 1):
        members = [faces[i] for i in np.flatnonzero(groups == number)]
        print(f"group {number}: {len(members)} faces: {', '.join(map(short, members))}")
        shown = [resize(face.image, 64) for face in members[:SHOWN]]
        blank = [np.full((64, 64, 3), 255, np.uint8)] * (SHOWN - len(shown))
        rows.append(images.grid(shown + blank, SHOWN))
    if alone := [short(faces[i]) for i in np.flatnonzero(groups < 0)]:
        print(f"of no group: {', '.join(alone)}")
    output = Path(args.output_dir or rundir.runs_dir() / "chapter06_face")
    output.mkdir(parents=True, exist_ok=True)
    if rows:
        images.write_png(output / "groups.png", np.concatenate(rows))
    files.write_json(output / "groups.json", [
        {"file": str(face.photo.path), "group": int(number)}
        for face, number in zip(faces, groups, strict=True)])
    scores: dict[str, float] = {"groups": int(groups.max() + 1)}
    people = [face.photo.person for face in faces]
    print(f"{scores['groups']} groups of {len(faces)} faces; see groups.png and groups.json in "
          f"{output}")
    if len(set(people)) > 1:
        scores["adjusted_rand"] = float(sklearn.metrics.adjusted_rand_score(people, groups))
        print(f"adjusted Rand index {scores['adjusted_rand']:.3f} with the {len(set(people))} "
              "folders")
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("folder", type=cli.path, help="folder of aligned faces, or of people")
    parser.add_argument("--method", choices=["agglomerative", "dbscan", "kmeans"],
                        default="agglomerative", help="how to group")
    parser.add_argument("--num_clusters", type=cli.positive_int, help="number of groups of kmeans")
    parser.add_argument("--output_dir", type=cli.path,
                        help="folder of groups.png and groups.json (default: "
                             "runs/chapter06_face)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of kmeans")
    inference.add_model_flags(parser)
    inference.add_threshold_flags(parser)
    gallery.add_flags(parser, aligned=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: cluster(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
