"""Measures what R-CNN, Fast R-CNN and Faster R-CNN cost per image (book, sections 5.1.1 to 5.1.4).

    python time_stages.py
    python time_stages.py --publish        # also into results/, for the README

R-CNN runs the whole network on a crop of every proposal. With shared features, as in SPPNet and
Fast R-CNN, its first layers run once on the image, and its last ones on the features of each
proposal, here cropped as in Faster R-CNN. Faster R-CNN also computes the proposals, from the same
features. All use MobileNet 0.75, unless another pipeline is given, with random weights: times do
not depend on them. Prints seconds of processor time per image.
"""

import argparse
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from chapter05_detection import data, faster_rcnn
from chapter05_detection import pipeline as pipelines
from chapter05_detection.inference import Detector, build_detector
from chapter05_detection.label_map import numbered
from common import cli, results
from common.errors import exit_status

CROP = 224  # pixels: the size in which the network gets the crops of R-CNN
CHUNK = 32  # crops per batch
SHARED = "shared features, proposals given"  # the layout of SPPNet and Fast R-CNN


def random_proposals(count: int, seed: int = 0) -> tf.Tensor:
    """Returns random boxes, float32 of shape (1, count, 4)."""
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 0.5, (count, 2)), rng.uniform(0.2, 0.5, (count, 2))
    return tf.constant(np.concatenate([corner, corner + size], axis=1)[None], tf.float32)


def make_r_cnn(network: keras.Model) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns R-CNN's features: the whole network on a crop of each proposal."""
    @tf.function(reduce_retracing=True)
    def features(image: tf.Tensor, proposals: tf.Tensor) -> tf.Tensor:
        owners = tf.zeros([tf.shape(proposals)[0]], tf.int32)
        crops = tf.image.crop_and_resize(image, proposals, owners, (CROP, CROP))
        return tf.reduce_mean(network(crops, training=False), axis=(1, 2))

    def run(image: tf.Tensor, proposals: tf.Tensor) -> tf.Tensor:
        return tf.concat([features(image, proposals[0, start:start + CHUNK])
                          for start in range(0, proposals.shape[1], CHUNK)], axis=0)

    return run


def make_shared(detector: Detector) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Returns shared features of the image, then the box head on each proposal given."""
    rpn, box_head = detector.models["rpn"], detector.models["box_head"]
    shared = keras.Model(rpn.inputs, rpn.outputs[0])

    @tf.function(reduce_retracing=True)
    def run(image: tf.Tensor, proposals: tf.Tensor) -> tf.Tensor:
        features = shared(image, training=False)
        return faster_rcnn.run_box_head(box_head, features, proposals, detector.pipeline, False)

    return run


def cpu_seconds(function: Callable[[], object], repeats: int) -> float:
    """Returns the median processor time of a call, after one to warm up."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return float(np.median(seconds))


def measure(config: str, counts: Sequence[int], repeats: int) -> list[dict[str, object]]:
    """Returns a row for each method and number of proposals.

    Args:
        config: name or path of the pipeline of a Faster R-CNN.
        counts: numbers of proposals.
        repeats: measurements of each.
    """
    pipeline, rows = pipelines.read(config, "faster_rcnn"), []
    noise = tf.random.stateless_uniform((480, 640, 3), (0, 0), 0, 255)
    image = data.resized(noise, pipeline["image_resizer"])[None]
    for count in counts:
        proposals = random_proposals(count)
        detector = build_detector(pipeline | {"first_stage_max_proposals": count},
                                  numbered(["object"]), 0)
        r_cnn, shared = make_r_cnn(detector.network), make_shared(detector)
        faster = tf.function(detector.detect)
        methods = {
            "R-CNN": lambda run=r_cnn, boxes=proposals: run(image, boxes),
            SHARED: lambda run=shared, boxes=proposals: run(image, boxes),
            "Faster R-CNN": lambda run=faster: run(image),
        }
        seconds = {name: cpu_seconds(run, repeats) for name, run in methods.items()}
        for name, value in seconds.items():
            rows.append({"method": name, "proposals": count, "seconds": f"{value:.3f}",
                         "speedup": f"{seconds['R-CNN'] / value:.1f} ×"})
            print(f"{name:>33}  {count:4} proposals  {value:.3f} s of processor time per image")
    return rows


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--pipeline_config_path", type=pipelines.config_name,
                        default="faster_rcnn_raccoon",
                        help="a Faster R-CNN: a name in configs/, or a YAML file")
    parser.add_argument("--counts", type=cli.size, nargs="+", default=[16, 64, 256],
                        help="numbers of proposals per image")
    parser.add_argument("--repeats", type=cli.size, default=5, help="measurements of each")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write results/chapter05_detection/stages.json")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def run() -> None:
        args = build_parser().parse_args(argv)
        rows = measure(args.pipeline_config_path, args.counts, args.repeats)
        if args.publish:
            results.publish_rows(__file__, argv, "stages", rows)

    return exit_status(run)


if __name__ == "__main__":
    raise SystemExit(main())
