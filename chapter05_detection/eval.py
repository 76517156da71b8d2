"""Evaluates a detector on the test split, or on the validation split if there is no other.

    python eval.py                                # the latest run
    python eval.py --name NAME --publish
    python eval.py --proposals grid               # Faster R-CNN without its first stage

Computes average precision by the rules of VOC 2007, VOC 2010 and COCO, with 95 % bootstrap
intervals over images, per class, beside a baseline: the median training box of each class on every
image. The threshold for use is the one with the highest F1 on the validation split. Writes
eval.json, detections.json (every box found), precision_recall.png, confusion.png, detections.jpg
(twelve images with their boxes), and an HTML page with more of them. Uses the latest weights:
nothing was selected on the validation split.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from chapter05_detection import data, proposals
from chapter05_detection.average_precision import (
    Detections,
    Evaluation,
    Truth,
    confusion,
    f1_score,
    join,
    precision_recall,
)
from chapter05_detection.inference import (
    Detector,
    draw,
    load_run,
    make_detect,
    make_detect_in,
    truths_of,
    write_sheet,
)
from chapter05_detection.records import Example
from common import cli, figures, files, page, results, rundir
from common.errors import UserError
from common.figures import plt

SHOWN = 40  # images on the HTML page
IN_SHEET = 12  # images of detections.jpg
CURVES = 8  # classes with a curve of their own


def constant_boxes(train: Sequence[Example], num_classes: int, count: int) -> list[Detections]:
    """Returns the baseline: on each of `count` images the median training box of each class.

    Its score is the share of training images that have the class.
    """
    boxes, scores, classes = [], [], []
    for label in range(num_classes):
        of_class = [example.boxes[example.labels == label] for example in train]
        if found := [part for part in of_class if len(part)]:
            boxes.append(np.median(np.concatenate(found), axis=0))
            scores.append(len(found) / len(train))
            classes.append(label)
    return [Detections(np.array(boxes), np.array(scores), np.array(classes))] * count


def draw_curves(evaluation: Evaluation, names: Sequence[str], png: Path) -> None:
    """Draws precision by recall, and F1 by score threshold, of each class and of all."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    rows = [*zip(names[:CURVES], evaluation.voc, strict=False)]
    if len(names) > 1:
        rows.append(("all", join(evaluation.voc)))
    for name, marks in rows:
        recall, precision, scores = precision_recall(marks)
        style = {"color": "black", "linewidth": 2} if name == "all" else {}
        left.plot(recall, precision, label=name, **style)
        right.plot(scores, f1_score(recall, precision), label=name, **style)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    right.set(xlabel="score threshold", ylabel="F1", xlim=(0, 1.02), ylim=(0, 1.02))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(loc="lower left")
    figures.save_figure(png, figure)


def draw_confusion(matrix: np.ndarray, names: Sequence[str], png: Path) -> None:
    """Draws the confusion matrix; its last row and column are background."""
    predicted = np.repeat(np.tile(np.arange(len(matrix)), len(matrix)), matrix.reshape(-1))
    true = np.repeat(np.repeat(np.arange(len(matrix)), len(matrix)), matrix.reshape(-1))
    figures.draw_confusion(true, predicted, [*names, "background"], png)


def write_detections(
    examples: Sequence[Example], found: Sequence[Detections], detector: Detector, path: Path
) -> None:
    """Writes all detections as JSON: file, class, id, score and box (ymin, xmin, ymax, xmax)."""
    rows = [{"file": example.name, "class": detector.labels.names[label],
             "id": detector.labels.ids[label], "score": round(float(score), 5),
             "box": [round(float(side), 5) for side in box]}
            for example, detections in zip(examples, found, strict=True)
            for box, score, label in zip(*detections, strict=True)]
    files.write_json(path, {"detections": rows})


def write_page(
    detector: Detector, examples: Sequence[Example], found: Sequence[Detections],
    truths: Sequence[Truth], threshold: float, folder: Path,
) -> Path:
    """Writes an HTML page of images with the boxes found, the true ones beside."""
    true_boxes = [Detections(truth.boxes, np.ones(len(truth.classes)), truth.classes)
                  for truth in truths[:SHOWN]]
    shown = zip(examples[:SHOWN], draw(detector, examples[:SHOWN], found[:SHOWN], threshold),
                draw(detector, examples[:SHOWN], true_boxes), strict=True)
    return page.write_table(folder, f"Detections with a score of at least {threshold:.2f}",
                            ("image", "found", "true"),
                            ((example.name, image, truth) for example, image, truth in shown))


def scores_of(
    truths: Sequence[Truth], found: Sequence[Detections], num_classes: int
) -> tuple[dict[str, float], Evaluation]:
    """Returns all scores of a split, and the evaluation behind them."""
    evaluation = Evaluation(truths, found, num_classes)
    boxes = sum(int(np.sum(~truth.difficult)) for truth in truths)
    return (evaluation.scores() | evaluation.intervals()
            | {"examples": len(truths), "boxes": boxes}), evaluation


def choose_detect(
    args: argparse.Namespace, detector: Detector
) -> Callable[[Sequence[Example]], list[Detections]]:
    """Returns the function from examples to detections, with the proposals of `--proposals`.

    Raises:
        UserError: SSD has no proposals; or the file of proposals cannot be used.
    """
    if args.proposals == "rpn":
        return make_detect(detector)
    if detector.pipeline["model"] == "ssd":
        raise UserError(f"--proposals {args.proposals}, but {args.run_dir} is an SSD: it has none",
                        "omit --proposals, or name a run of train_faster_rcnn.py")
    if args.publish == "":
        raise UserError(f"--publish with --proposals {args.proposals} would replace the result of "
                        "the whole network", "give it a suffix: --publish grid")
    if args.proposals == "grid":
        return make_detect_in(detector, lambda example: proposals.GRID)
    table = proposals.read(Path(args.proposals))
    return make_detect_in(detector, lambda example: proposals.of_image(table, example.name))


def evaluate(args: argparse.Namespace, flags: argparse.Namespace) -> dict[str, float]:
    """Evaluates a run, writes eval.json and the figures; returns the scores."""
    dataset = data.load(flags)
    rundir.check_data(args.run_dir, dataset.digest)
    detector = load_run(args, flags)
    detect, names = choose_detect(args, detector), detector.labels.names
    # The threshold is chosen on the validation split, whether or not that is the last one.
    of_val = detect(dataset.splits["val"])
    scores, evaluation = scores_of(truths_of(dataset.splits["val"]), of_val, len(names))
    threshold, f1 = evaluation.best_threshold()
    metrics = {"validation": scores | {"f1": f1, "threshold": threshold}}
    examples, found = dataset.splits[dataset.last], of_val
    if dataset.last == "test":
        found = detect(examples)
    truths = truths_of(examples)
    if dataset.last == "test":
        metrics["test"], evaluation = scores_of(truths, found, len(names))
    metrics["constant_box"], _ = scores_of(
        truths, constant_boxes(dataset.splits["train"], len(names), len(examples)), len(names))
    by_class = {f"class_{name}": row
                for name, row in zip(names, evaluation.by_class(), strict=True)}
    main = metrics["test" if dataset.last == "test" else "validation"]
    draw_curves(evaluation, names, args.run_dir / "precision_recall.png")
    matrix = confusion(truths, found, len(names), threshold)
    draw_confusion(matrix, names, args.run_dir / "confusion.png")
    write_detections(examples, found, detector, args.run_dir / "detections.json")
    write_sheet(detector, examples[:IN_SHEET], found[:IN_SHEET], args.run_dir / "detections.jpg",
                threshold)
    html = write_page(detector, examples, found, truths, threshold, args.run_dir / "detections")
    results.write(args, data.name_of(flags), f"{detector.pipeline['model']}-{flags.preset}",
                  metrics | by_class,
                  details={"confusion": matrix.tolist(), "proposals": args.proposals})
    for name, row in zip(names, by_class.values(), strict=True):
        print(f"{name:>16}  AP at .5 {row['ap_50']:.3f}  mAP {row['map']:.3f}  of {row['boxes']}")
    print(f"{dataset.last}: AP at IoU .5 {main['ap_50']:.3f} ({main['ap_50_low']:.3f} to "
          f"{main['ap_50_high']:.3f}), mAP {main['map']:.3f} ({main['map_low']:.3f} to "
          f"{main['map_high']:.3f}) on {main['examples']:,} images; constant box "
          f"{metrics['constant_box']['ap_50']:.3f}. Best threshold {threshold:.2f}, F1 {f1:.3f}. "
          f"See {html}")
    return {name: main[name] for name in ("ap_50", "map", "ap_50_voc07")}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest", data=["data_dir"])
    parser.add_argument("--proposals", type=proposals.source, default="rpn",
                        help="boxes for the second stage of Faster R-CNN: rpn, its first stage; "
                             "grid, the same windows in every image; or a JSON file with a list of "
                             "boxes by the name of each image")
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
