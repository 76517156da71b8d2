"""Trains a classifier of people on embeddings, or uses it (book, sections 6.3 and 6.4.5).

    python classifier.py TRAIN FOLDER people.npz --model RUN
    python classifier.py CLASSIFY FOLDER people.npz --model RUN
    python classifier.py TRAIN FOLDER people.npz --use_split_dataset      # and CLASSIFY, the rest

FOLDER has one folder per person with aligned faces. The classifier is a linear support vector
machine (one person against all others) whose scores are turned into probabilities by Platt's
method. It is written as arrays, not pickled: opening it runs nobody's code.
"""

import argparse
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sklearn.calibration
import sklearn.svm

from chapter06_face import gallery, inference
from chapter06_face.people import Photo, list_people
from chapter06_face.verification import names_of
from common import cli
from common.errors import UserError, exit_status


class Classifier(NamedTuple):
    """A linear classifier with probabilities.

    Attributes:
        kernel: of shape (size, people).
        bias: of shape (people,).
        slope: of the logistic function of each score, of shape (people,).
        offset: of shape (people,).
        names: of the people.
    """

    kernel: np.ndarray
    bias: np.ndarray
    slope: np.ndarray
    offset: np.ndarray
    names: np.ndarray

    def probabilities(self, embeddings: np.ndarray) -> np.ndarray:
        """Returns the probabilities of all people, of shape (faces, people)."""
        scores = embeddings @ self.kernel + self.bias
        shares = 1 / (1 + np.exp(self.slope * scores + self.offset))
        return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)


def fit(embeddings: np.ndarray, people: Sequence[str], seed: int) -> Classifier:
    """Trains the classifier.

    Raises:
        UserError: there is one person only, or somebody has one face only.
    """
    names, labels = names_of(people)
    fewest = int(np.bincount(labels).min())
    if len(names) < 2 or fewest < 2:
        raise UserError(f"{len(names)} people, of whom one has {fewest} faces",
                        "give at least two people with two faces each; "
                        "--min_nrof_images_per_class leaves the others out")
    machine = sklearn.svm.LinearSVC(random_state=seed)
    calibrated = sklearn.calibration.CalibratedClassifierCV(
        machine, cv=min(5, fewest), ensemble=False).fit(embeddings, labels)
    [inner] = calibrated.calibrated_classifiers_
    kernel, bias = inner.estimator.coef_.T, inner.estimator.intercept_
    slope = np.array([sigmoid.a_ for sigmoid in inner.calibrators])
    offset = np.array([sigmoid.b_ for sigmoid in inner.calibrators])
    if len(names) == 2:  # scikit-learn keeps the second of two people only
        kernel, bias = np.concatenate([-kernel, kernel], 1), np.concatenate([-bias, bias])
        slope, offset = np.concatenate([slope, slope]), np.concatenate([-offset, offset])
    return Classifier(kernel, bias, slope, offset, np.array(names))


def read(path: Path) -> Classifier:
    """Reads a classifier.

    Raises:
        UserError: the file is not one of this script.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return Classifier(*(file[name] for name in Classifier._fields))
    except (OSError, EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a classifier of this script ({error})",
                        "write it: python classifier.py TRAIN") from error


def chosen(photos: Sequence[Photo], args: argparse.Namespace) -> list[Photo]:
    """Returns the photographs that the flags leave: of people with enough, and of one part."""
    of_person: dict[str, list[Photo]] = {}
    for photo in photos:
        of_person.setdefault(photo.person, []).append(photo)
    left = []
    for person in of_person.values():
        if len(person) < args.min_nrof_images_per_class:
            continue
        if args.use_split_dataset:
            order = np.random.default_rng(args.seed).permutation(len(person))
            first = args.nrof_train_images_per_class
            part = order[:first] if args.mode == "TRAIN" else order[first:]
            person = [person[i] for i in sorted(part)]
        left += person
    if not left:
        raise UserError(f"nobody of {len(of_person)} people has enough photographs",
                        "lower --min_nrof_images_per_class, or give more photographs")
    return left


def run(args: argparse.Namespace) -> dict[str, float] | None:
    """Trains or uses the classifier."""
    embedder = inference.open_embedder(args)
    path = Path(args.classifier_filename)
    machine = read(path) if args.mode == "CLASSIFY" else None
    faces = gallery.find_all(chosen(list_people(Path(args.data_dir)), args),
                             gallery.open_finder(args, embedder))
    vectors = gallery.embed(embedder, faces)
    people = [face.photo.person for face in faces]
    if machine is None:
        machine = fit(vectors, people, args.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part.npz")
        np.savez(part, **machine._asdict())
        part.replace(path)
        print(f"{len(machine.names)} people, {len(faces)} faces: {path}")
        return None
    if machine.kernel.shape[0] != vectors.shape[1]:
        raise UserError(f"{path} is for embeddings of {machine.kernel.shape[0]} numbers, "
                        f"{embedder.name} has {vectors.shape[1]}", "give the model of its training")
    probabilities = machine.probabilities(vectors)
    answers = machine.names[probabilities.argmax(axis=1)]
    for face, name, row in zip(faces, answers, probabilities, strict=True):
        print(f"{face.photo.path}: {name} {row.max():.3f}")
    known = np.isin(people, machine.names)
    if not known.any():
        return None
    hits = np.array(people)[known] == answers[known]
    print(f"accuracy {hits.mean():.2%} on {known.sum()} faces of people it was trained on; "
          f"{np.count_nonzero(~known)} faces are of others. Chance: {1 / len(machine.names):.2%}")
    return {"accuracy": float(hits.mean()), "faces": int(known.sum())}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("mode", choices=["TRAIN", "CLASSIFY"], help="what to do")
    parser.add_argument("data_dir", type=cli.path, help="folder of people")
    parser.add_argument("classifier_filename", type=cli.path, metavar="classifier.npz",
                        help="the classifier, written or read")
    parser.add_argument("--use_split_dataset", action=argparse.BooleanOptionalAction,
                        default=False, help="TRAIN on some photographs of each person, CLASSIFY "
                                            "the others")
    parser.add_argument("--min_nrof_images_per_class", type=cli.positive_int, default=1,
                        help="people with fewer photographs are left out")
    parser.add_argument("--nrof_train_images_per_class", type=cli.positive_int, default=10,
                        help="photographs per person to TRAIN on, with --use_split_dataset")
    parser.add_argument("--seed", type=cli.seed, default=666, help="seed of the split")
    inference.add_model_flags(parser)
    gallery.add_flags(parser, aligned=True)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: run(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
