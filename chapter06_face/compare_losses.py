"""Compares losses on people none of which was in training, fold by fold.

    python compare_losses.py --data_dir ORL --weights mobilenet_v1_0.75_224.weights.h5
    python compare_losses.py --data_dir ORL --methods softmax triplet --draws 1

The people are divided into five folds, twice; each loss is trained on four folds and verifies the
people of the fifth. Beside them stand baselines that learn nothing or little: grey pixels, and the
features of a network that was pretrained on ImageNet: as they are, minus the mean of the training
faces, and whitened within people. Trainings that are finished are not repeated.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from tqdm import tqdm

from chapter06_face import data, inference, verification
from common import cli, files, pretrained, results, rundir
from common.errors import Interrupted, UserError, exit_status

CHAPTER = "chapter06_face"
NETWORK, ALPHA, LAYER, SIZE = "MobileNet", 0.75, "conv_pw_11_relu", 128
HEAD = (f"--model_def {NETWORK} --network_alpha {ALPHA} --layer {LAYER} --image_size {SIZE} "
        "--no-trainable_network --loss arcface --arcface_margin 0.5 --embedding_size 512 "
        "--keep_prob 1")
METHODS = {  # script and flags of each
    "softmax": ("train", ""),
    "softmax_center": ("train", "--center_loss_factor 0.01 --center_loss_alfa 0.5"),
    "arcface": ("train", "--loss arcface"),
    "triplet": ("train_triplet", ""),
    "mobilenet_head": ("train", HEAD),
}
SHRINK = 0.1  # share of the mean variance that is mixed into the covariance before whitening


def learn(method: str, draw: int, fold: int, args: argparse.Namespace) -> Path:
    """Trains a method on one fold in a new process, unless it is finished; returns its run.

    Raises:
        UserError: the training failed.
        Interrupted: it was stopped.
    """
    folder = rundir.runs_dir() / CHAPTER / "losses" / f"{method}-draw{draw}-fold{fold}"
    if rundir.exists(folder):
        there = rundir.read_config(folder)["flags"]
        wanted = {"data_dir": args.data_dir}
        if method == "mobilenet_head":
            wanted["weights"] = args.weights
        if differ := [flag for flag, value in wanted.items() if there[flag] != value]:
            raise UserError(f"{folder} has --{differ[0]} {there[differ[0]]}, not "
                            f"{wanted[differ[0]]}", f"delete {folder.parent}")
        if not (folder / rundir.RUNNING).exists():
            return folder
    script, words = METHODS[method]
    command = [sys.executable, "-m", f"{CHAPTER}.{script}", "--preset", "folder", "--data_dir",
               args.data_dir, "--run_dir", str(folder), "--split_seed", str(draw), "--fold",
               str(fold), *words.split()]
    if method == "mobilenet_head":
        command += ["--weights", args.weights]
    done = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 130:
        raise Interrupted("stopped and saved; run the same command again to resume")
    if done.returncode:
        raise UserError(f"the training in {folder} failed:\n{done.stderr[-1000:]}",
                        f"delete {folder} and run the same command again")
    return folder


def equal_error_rate(embeddings: np.ndarray, people: np.ndarray) -> float:
    """Returns the equal error rate of embeddings of length 1 on all pairs."""
    pairs = verification.all_pairs(people)
    distances = verification.squared_distances(embeddings, pairs)
    return verification.roc_scores(distances, pairs.same)["eer"]


def within_whitening(features: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Returns the matrix that makes the covariance within people the identity, nearly."""
    centers = np.stack([features[people == p].mean(axis=0) for p in range(people.max() + 1)])
    covariance = np.cov((features - centers[people]).T)
    covariance += SHRINK * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(values)


def frozen_features(dataset: data.Data, weights: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of the pretrained network: of the people in training, of the others.

    It sees the windows that `mobilenet_head` is evaluated on.
    """
    whole = pretrained.build_maps(NETWORK, None, ALPHA)
    pretrained.load(whole, weights, NETWORK, ALPHA)
    layer = whole.get_layer(LAYER)
    network = keras.Model(whole.inputs, layer.output)

    def features(photos: data.Photos) -> np.ndarray:
        batch = np.stack([data.central(photos.read(i), SIZE) for i in range(len(photos.people))])
        return network.predict(batch.astype(np.float32), verbose=0).mean(axis=(1, 2))

    return features(dataset.train), features(dataset.validation)


def baselines(flags: argparse.Namespace, weights: str | None) -> dict[str, float]:
    """Returns the equal error rates of what needs no training, on the data of some flags."""
    dataset = data.load(argparse.Namespace(**vars(flags) | {"image_size": SIZE}))
    people = dataset.validation.people
    faces = [dataset.validation.read(i) for i in range(len(people))]
    found = {"pixels": equal_error_rate(inference.pixels(faces), people)}
    if weights:
        train, test = frozen_features(dataset, weights)
        mean = train.mean(axis=0)
        whiten = within_whitening(train, dataset.train.people)
        found |= {
            "mobilenet": equal_error_rate(verification.normalize(test), people),
            "mobilenet_centred": equal_error_rate(verification.normalize(test, mean), people),
            "mobilenet_whitened": equal_error_rate(
                verification.normalize((test - mean) @ whiten), people)}
    return found


def flags_of(folder: Path) -> argparse.Namespace:
    """Returns the flags of a run."""
    return argparse.Namespace(**rundir.read_config(folder, CHAPTER)["flags"], typed={})


def score(folder: Path, flags: argparse.Namespace) -> float:
    """Returns the equal error rate of a run on the people held out."""
    embedder = inference.load_run(argparse.Namespace(run_dir=folder, checkpoint="latest"), flags)
    photos = data.load(flags).validation
    return equal_error_rate(inference.embed_photos(embedder, photos), photos.people)


def compare(args: argparse.Namespace, argv: Sequence[str] | None) -> dict[str, float]:
    """Trains and scores all methods on all folds; prints and publishes the table."""
    if "mobilenet_head" in args.methods and not args.weights:
        raise UserError("mobilenet_head without --weights",
                        "give a file of the weights, or other --methods")
    rates: dict[str, list[float]] = {}
    cells = [(draw, fold) for draw in range(args.draws) for fold in range(args.folds)]
    with tqdm(total=len(cells) * len(args.methods), unit="training", disable=None) as bar:
        for draw, fold in cells:
            for method in args.methods:
                folder = learn(method, draw, fold, args)
                flags = flags_of(folder)
                rates.setdefault(method, []).append(score(folder, flags))
                bar.update()
            for name, rate in baselines(flags, args.weights).items():
                rates.setdefault(name, []).append(rate)
    rows = []
    for method, values in sorted(rates.items(), key=lambda item: np.mean(item[1])):
        rows.append({"method": method, "eer": float(np.mean(values)),
                     "lowest": min(values), "highest": max(values), "folds": len(values)})
        print(f"{method:>20}: equal error rate {np.mean(values):.3f} "
              f"({min(values):.3f} to {max(values):.3f}) over {len(values)} folds")
    if args.publish:
        results.publish_rows(__file__, argv, "losses", rows)
    return {row["method"]: row["eer"] for row in rows}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--data_dir", type=cli.path, required=True, help="folder of people")
    parser.add_argument("--weights", type=cli.path,
                        help="weights of MobileNet .75, trained on ImageNet")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS),
                        help="what to train")
    parser.add_argument("--draws", type=cli.positive_int, default=2,
                        help="how often the people are divided into folds")
    parser.add_argument("--folds", type=cli.number(int, 1, 5, "a number from 1 to 5"), default=5,
                        help="folds of each division that are used")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write the table to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: compare(build_parser().parse_args(argv), argv))


if __name__ == "__main__":
    raise SystemExit(main())
