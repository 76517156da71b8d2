"""Scores a model by the protocol of Labeled Faces in the Wild (book, section 6.4.4).

    python validate_on_lfw.py lfw_aligned RUN --lfw_pairs pairs.txt
    python validate_on_lfw.py lfw_aligned 20170512-110547.pb --lfw_pairs pairs.txt

Thresholds are chosen on nine folds of pairs and scored on the tenth: the accuracy, and the
validation rate (pairs of one person that are accepted) where one pair of two people in a thousand
is accepted. Also the area under the ROC curve and the equal error rate. An embedding is the mean of
those of the image and its mirror image, see --flip. Writes thresholds.json beside the model.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from chapter06_face import inference, verification
from common import cli, images, intervals, results
from common.errors import exit_status


def rows(
    name: str, scores: dict[str, float], plain: dict[str, float]
) -> list[dict[str, str | float]]:
    """Returns the scores of a model and of pixels, with their intervals, as rows of a table."""
    table = []
    for model, found in ((name, scores), ("pixels", plain)):
        low, high = intervals.wilson_interval(found["accuracy"], found["pairs"])
        table.append({"model": model, "low": low, "high": high,
                      **{key: found[key] for key in ("accuracy", "auc", "eer", "pairs")}})
    return table


def validate(args: argparse.Namespace, argv: Sequence[str] | None) -> dict[str, float]:
    """Scores the model; returns the scores."""
    args.model = args.model_path
    embedder = inference.open_embedder(args)
    extension = args.lfw_file_ext.lstrip(".") if args.lfw_file_ext else None
    paths, pairs, num_folds, missing = inference.read_pairs(
        Path(args.lfw_pairs), Path(args.lfw_dir), extension)
    if missing:
        print(f"{len(missing)} pairs are left out, their files are missing: "
              f"{'; '.join(missing[:5])}{' …' if len(missing) > 5 else ''}")
    num_folds = args.lfw_nrof_folds or num_folds
    faces, same = [images.read_image(path) for path in paths], pairs.same
    plain = embedder.embed(faces)
    vectors = inference.embed_both_ways(embedder, faces) if args.flip else plain
    scores = verification.evaluate(verification.squared_distances(vectors, pairs), same, num_folds)
    grey = verification.evaluate(verification.squared_distances(inference.pixels(faces), pairs),
                                 same, num_folds)
    low, high = intervals.wilson_interval(scores["accuracy"], len(same))
    # compare.py and the others embed a face once: their thresholds are those of such embeddings.
    table = inference.write_thresholds(embedder.folder,
                                       verification.squared_distances(plain, pairs), same)
    print(f"{len(same)} pairs, {num_folds} folds, of {embedder.name}\n"
          f"Accuracy: {scores['accuracy']:.3f} ± {scores['accuracy_std']:.3f} "
          f"(95 % confidence interval {low:.3f} to {high:.3f}; pixels "
          f"{grey['accuracy']:.3f}, chance .5)\n"
          f"Validation rate: {scores['val']:.5f} ± {scores['val_std']:.5f} @ FAR="
          f"{scores['far']:.5f}\n"
          f"Area Under Curve (AUC): {scores['auc']:.3f}\n"
          f"Equal Error Rate (EER): {scores['eer']:.3f}\n"
          f"thresholds {table}: {embedder.folder / inference.THRESHOLDS}")
    if args.publish:
        results.publish_rows(__file__, argv, "lfw", rows(embedder.folder.name, scores, grey))
    return scores | {"accuracy_low": low, "accuracy_high": high}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("lfw_dir", type=cli.path, help="folder of aligned faces")
    parser.add_argument("model_path", type=cli.run_or_name, metavar="model",
                        help="a run, a .pb or its folder, or an export")
    parser.add_argument("--checkpoint", type=cli.checkpoint_name, default="latest",
                        metavar="best|latest|STEP", help="which weights of a run")
    parser.add_argument("--lfw_pairs", type=cli.path, default="pairs.txt",
                        help="the pairs, in LFW's format")
    parser.add_argument("--lfw_file_ext", default="", help="of the images, such as png (default: "
                                                           "any)")
    parser.add_argument("--lfw_nrof_folds", type=cli.number(int, 2, 1000, "at least 2"),
                        help="number of folds (default: as the first line of the pairs says)")
    parser.add_argument("--flip", action=argparse.BooleanOptionalAction, default=True,
                        help="average with the embedding of the mirror image")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write the scores to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: validate(build_parser().parse_args(argv), argv))


if __name__ == "__main__":
    raise SystemExit(main())
