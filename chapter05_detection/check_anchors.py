"""Shows the anchors of a pipeline, and how many true boxes they can reach.

    python check_anchors.py                                         # the demo's
    python check_anchors.py --pipeline_config_path ssd_bccd --dataset voc --data_dir FOLDER
    python check_anchors.py --figure                                # the anchors of figure 5-7

A box is reached if an anchor overlaps it by at least the matcher's threshold. Where less than 95 %
are, other scales are proposed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter05_detection import anchors, data
from chapter05_detection import pipeline as pipelines
from chapter05_detection.inference import build_detector, report_anchors
from common import cli, figures, rundir
from common.errors import UserError, exit_status
from common.figures import plt

MAP, STRIDE = (39, 51), 16  # of figure 5-7: rows and columns, pixels
BOOK = {"height": 256, "width": 256, "scales": [0.5, 1.0, 2.0], "aspect_ratios": [0.5, 1.0, 2.0],
        "height_stride": STRIDE, "width_stride": STRIDE, "height_offset": 0, "width_offset": 0}


def draw_anchors(png: Path) -> int:
    """Draws the grid of figure 5-7 and the nine anchors of one of its points; returns the number.

    The feature map has 39 rows and 51 columns.
    """
    size = np.array(MAP) * STRIDE  # of the image in pixels
    boxes = anchors.grid_anchors(tf.constant(MAP), tf.constant(size), BOOK).numpy()
    at_point = boxes.reshape(*MAP, 9, 4)[MAP[0] // 2, MAP[1] // 2] * np.tile(size, 2)
    figure, axes = plt.subplots(figsize=(8, 6))
    rows, columns = np.mgrid[: MAP[0], : MAP[1]] * STRIDE
    axes.plot(columns.ravel(), rows.ravel(), ".", color="lightgray", markersize=3, zorder=0)
    axes.add_patch(plt.Rectangle((0, 0), size[1], size[0], fill=False, linewidth=2))
    for number, (top, left, bottom, right) in enumerate(at_point):
        ratio = BOOK["aspect_ratios"][number // 3]
        axes.add_patch(plt.Rectangle((left, top), right - left, bottom - top, fill=False,
                                     edgecolor=f"C{number // 3}", linewidth=1.5,
                                     label=f"width / height {ratio:g}" if number % 3 == 0 else ""))
    axes.set(xlabel="pixels", ylabel="pixels", aspect="equal",
             title=f"{MAP[1]} × {MAP[0]} × 9 = {len(boxes):,} anchors")
    axes.autoscale_view()
    axes.invert_yaxis()
    axes.legend(loc="lower left")
    figures.save_figure(png, figure)
    return len(boxes)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    data.add_flags(parser)
    parser.add_argument("--pipeline_config_path", type=pipelines.config_name,
                        help="the pipeline: a name in configs/, or a YAML file (default for "
                             "shapes: ssd_shapes)")
    parser.add_argument("--figure", action=argparse.BooleanOptionalAction, default=False,
                        help="draw the anchors of figure 5-7, and read no data")
    return parser


def refuse_data(args: argparse.Namespace) -> None:
    """Raises UserError if flags choose data or a pipeline, which `--figure` does not read."""
    chosen = {"dataset": args.dataset != "shapes", "data_dir": args.data_dir,
              "label_map_path": args.label_map_path,
              "pipeline_config_path": args.pipeline_config_path}
    if idle := [f"--{flag} {vars(args)[flag]}" for flag, given in chosen.items() if given]:
        raise UserError(f"{' '.join(idle)} has no effect with --figure", "omit one of them")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def check() -> dict[str, float]:
        args = build_parser().parse_args(argv)
        if args.figure:
            refuse_data(args)
            png = rundir.runs_dir() / "chapter05_detection" / "anchors.png"
            count = draw_anchors(png)
            print(f"{count:,} anchors, those of one point drawn: {png}")
            return {"anchors": count}
        pipeline = pipelines.read(pipelines.chosen(args.pipeline_config_path, args.dataset))
        dataset = data.load(args)
        detector = build_detector(pipeline, dataset.labels, 0)
        recall, text = report_anchors(detector, dataset.splits["train"])
        print(text)
        return {"best_possible_recall": recall}

    return exit_status(check)


if __name__ == "__main__":
    raise SystemExit(main())
