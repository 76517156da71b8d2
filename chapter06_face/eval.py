"""Verifies the people whom a run has not seen: are two photographs of one person?

    python eval.py
    python eval.py --name NAME --publish
    python eval.py --name NAME               # a run of train_mtcnn.py: the faces it finds

Every two photographs of the people held out are a pair. Reports the equal error rate, with an
interval over draws of people, beside that of grey pixels; the accuracy on balanced pairs. Writes
thresholds.json, which says from which distance on two faces are different people, and draws the
distances, the ROC curves and the hardest pairs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn.metrics

from chapter06_face import data, detector, inference, mtcnn, scenes, verification
from chapter06_face.alignment import resize
from chapter06_face.verification import Pairs
from common import checkpoint, cli, images, results, rundir
from common.figures import plt, save_figure

BALANCED = 3000  # pairs of one person, and as many of two, for the accuracy
FOLDS = 10  # of the balanced pairs; fewer pairs get no accuracy
SHOWN = 10  # hardest pairs of each kind


def score(embeddings: np.ndarray, people: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Returns the scores of embeddings of length 1 on all pairs, and on balanced ones."""
    pairs = verification.all_pairs(people)
    distances = verification.squared_distances(embeddings, pairs)
    balanced = verification.balanced_pairs(people, BALANCED, seed)
    even = {}
    if len(balanced.same) >= FOLDS:
        found = verification.evaluate(verification.squared_distances(embeddings, balanced),
                                      balanced.same, FOLDS)
        even = {name: found[name] for name in ("accuracy", "accuracy_std")}
    low, high = verification.bootstrap_interval(distances, people, seed)
    rates = {f"val_at_far_{far:g}": float(np.mean(
        distances[pairs.same] < verification.threshold_at(distances, pairs.same, far)))
        for far in inference.RATES if np.count_nonzero(~pairs.same) * far >= 1}
    return {**verification.roc_scores(distances, pairs.same), "eer_low": low, "eer_high": high,
            **rates, **even, "people": len(np.unique(people)), "images": len(people),
            "pairs": len(pairs.same)}


def draw_distances(distances: np.ndarray, same: np.ndarray, table: dict[str, float],
                   png: Path) -> None:
    """Draws the distances of pairs of one person and of two, and the thresholds."""
    figure, axes = plt.subplots(figsize=(7, 4))
    bins = np.linspace(0, 2, 81)
    for chosen, label in ((same, "one person"), (~same, "two people")):
        axes.hist(np.sqrt(distances[chosen]), bins, density=True, alpha=0.6, label=label)
    for name, value in table.items():
        axes.axvline(value, linestyle="--", color="black", linewidth=0.8)
        axes.text(value, axes.get_ylim()[1], name, rotation=90, va="top", ha="right", fontsize=7)
    axes.set(xlabel="distance", ylabel="density of pairs")
    axes.legend()
    save_figure(png, figure)


def draw_roc(curves: dict[str, tuple[np.ndarray, np.ndarray]], png: Path) -> None:
    """Draws ROC curves of distances and whether pairs are of one person, by name."""
    figure, axes = plt.subplots(figsize=(5, 4.5))
    for name, (distances, same) in curves.items():
        false, true, _ = sklearn.metrics.roc_curve(same, -distances)
        axes.plot(np.maximum(false, 1e-4), true, label=name)
    axes.set(xscale="log", xlabel="false accepts", ylabel="pairs of one person accepted",
             xlim=(1e-4, 1), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="lower right")
    save_figure(png, figure)


def draw_hardest(photos: data.Photos, pairs: Pairs, distances: np.ndarray, png: Path) -> None:
    """Draws the farthest pairs of one person above the nearest pairs of two."""
    same, other = np.flatnonzero(pairs.same), np.flatnonzero(~pairs.same)
    rows = [same[np.argsort(-distances[same])][:SHOWN], other[np.argsort(distances[other])][:SHOWN]]
    sheet = []
    for row in rows:
        for members in (pairs.first, pairs.second):
            faces = [resize(photos.read(int(members[pair])), 64) for pair in row]
            sheet.append(images.grid(faces, SHOWN))
    width = max(part.shape[1] for part in sheet)
    images.write_png(png, np.concatenate([np.pad(
        part, ((0, 0), (0, width - part.shape[1]), (0, 0)), constant_values=255)
        for part in sheet]))


def evaluate_detector(args: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run of train_mtcnn.py on other scenes; returns the scores."""
    networks = mtcnn.build()
    checkpoint.load(args.run_dir, args.checkpoint, **networks)
    scores = scenes.validate(networks, args.run_dir / "scenes.png")
    drawn = scenes.validation_scenes()
    found = detector.open_haar(argparse.Namespace(**detector.SETTINGS))
    haar = scenes.score(found.detect([scene.image for scene in drawn]), drawn)
    results.write(args, "scenes", "mtcnn", {"test": scores, "haar": haar}, {}, {})
    print(f"OpenCV's Haar cascade: precision {haar['precision']:.2%}, recall {haar['recall']:.2%}")
    return scores


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json, thresholds.json and figures; returns the scores."""
    if "steps_per_network" in vars(flags):
        return evaluate_detector(args)
    flags.data_dir = args.data_dir or flags.data_dir
    flags.typed = {}
    dataset = data.load(flags)
    rundir.check_data(args.run_dir, dataset.digest)
    photos = dataset.validation
    embedder = inference.load_run(args, flags)
    vectors = inference.embed_photos(embedder, photos)
    plain = inference.pixels([photos.read(i) for i in range(len(photos.people))])
    metrics = {"test": score(vectors, photos.people), "pixels": score(plain, photos.people)}
    pairs = verification.all_pairs(photos.people)
    distances = verification.squared_distances(vectors, pairs)
    table = inference.write_thresholds(args.run_dir, distances, pairs.same)
    draw_distances(distances, pairs.same, table, args.run_dir / "distances.png")
    draw_roc({"embeddings": (distances, pairs.same),
              "pixels": (verification.squared_distances(plain, pairs), pairs.same)},
             args.run_dir / "roc.png")
    draw_hardest(photos, pairs, distances, args.run_dir / "hardest.png")
    loss = getattr(flags, "loss", "triplet")
    if getattr(flags, "center_loss_factor", 0):
        loss += "_center"
    name = Path(flags.data_dir).name if flags.data_dir else flags.dataset
    results.write(args, name, f"{flags.model_def}-{loss}", metrics, {},
                  {"thresholds": table})
    scores = metrics["test"]
    print(f"{scores['people']} people held out, {scores['pairs']:,} pairs: equal error rate "
          f"{scores['eer']:.2%} (95 % interval {scores['eer_low']:.2%} to "
          f"{scores['eer_high']:.2%}; pixels {metrics['pixels']['eer']:.2%})")
    if "accuracy" in scores:
        print(f"accuracy on balanced pairs {scores['accuracy']:.2%} (pixels "
              f"{metrics['pixels']['accuracy']:.2%})")
    print(f"thresholds {table}; see distances.png, roc.png and hardest.png in {args.run_dir}")
    return scores


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest")
    parser.add_argument("--data_dir", type=cli.path, help="folder of the people, if it was moved")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
