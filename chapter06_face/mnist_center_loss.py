"""Shows what center loss does, in two dimensions (book, section 6.2.2, figures 6-10 and 6-11).

    python mnist_center_loss.py                                     # scikit-learn's digits
    python mnist_center_loss.py --dataset mnist --data_dir FOLDER
    python mnist_center_loss.py --factors 0 0.001 0.01 0.1 1 --steps 2000

A network with a feature of two numbers learns digits, once per weight of the center loss. With
softmax alone the features of a digit are a ray; the larger the weight, the closer they lie around a
center. Draws the features of the test images and prints how far apart they are.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter01_mnist import data as digits
from chapter06_face import losses
from common import cli, files, results, rundir
from common.errors import exit_status
from common.figures import plt, save_figure


def build_network(seed: int) -> tuple[keras.Model, keras.Model]:
    """Builds LeNets++ of Wen et al. 2016, table 1, for images (28, 28, 1), and its classifier.

    Returns:
        From images to two features, and from features to ten logits.
    """
    keras.utils.set_random_seed(seed)
    x = images = keras.Input((28, 28, 1))
    for filters in (32, 64, 128):
        for _ in range(2):
            x = keras.layers.Conv2D(filters, 5, padding="same")(x)
            x = keras.layers.PReLU(keras.initializers.Constant(0.25), shared_axes=[1, 2])(x)
        x = keras.layers.MaxPooling2D(2)(x)
    features = keras.layers.Dense(2)(keras.layers.Flatten()(x))
    inputs = keras.Input((2,))
    logits = keras.layers.Dense(10)(inputs)
    return keras.Model(images, features), keras.Model(inputs, logits)


def learn(
    split: digits.Split, factor: float, args: argparse.Namespace
) -> tuple[keras.Model, keras.Model]:
    """Trains a network with one weight of the center loss."""
    network, classifier = build_network(args.seed)
    optimizer = keras.optimizers.Adam(1e-3)
    centers = tf.Variable(tf.zeros((10, 2)))
    variables = network.trainable_variables + classifier.trainable_variables

    @tf.function(autograph=False)
    def train_step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            features = network(images, training=True)
            loss = losses.softmax_loss(classifier(features), labels)
            loss += factor * losses.center_loss(features, labels, centers)
        optimizer.apply(tape.gradient(loss, variables), variables)
        losses.update_centers(centers, features, labels, args.alfa)
        return loss

    batches = digits.training_batches(split, args.batch_size, args.seed).take(args.steps)
    for images, labels in tqdm(batches, total=args.steps, desc=f"weight {factor:g}", disable=None):
        train_step(images, labels)
    return network, classifier


def spread(features: np.ndarray, labels: np.ndarray) -> float:
    """Returns the distance within digits over that between their centers: small if compact."""
    centers = np.stack([features[labels == digit].mean(axis=0) for digit in range(10)])
    within = np.linalg.norm(features - centers[labels], axis=1).mean()
    between = np.linalg.norm(centers[:, None] - centers[None], axis=2).sum() / 90
    return float(within / between)


def experiment(args: argparse.Namespace, argv: Sequence[str] | None) -> dict[str, float]:
    """Trains with all weights, draws and publishes the features; returns the spread by weight."""
    splits = digits.load(args)
    images = digits.scale(splits["test"].images).numpy()
    labels = splits["test"].labels
    figure, axes = plt.subplots(1, len(args.factors), squeeze=False, layout="tight",
                                figsize=(4 * len(args.factors), 4.3))
    rows = []
    for factor, axis in zip(args.factors, axes[0], strict=True):
        network, classifier = learn(splits["train"], factor, args)
        features = network.predict(images, verbose=0)
        answers = classifier.predict(features, verbose=0).argmax(axis=1)
        accuracy, ratio = float(np.mean(answers == labels)), spread(features, labels)
        rows.append({"weight": factor, "accuracy": accuracy, "spread": ratio})
        print(f"weight {factor:g}: test accuracy {accuracy:.2%}, distance within a digit "
              f"{ratio:.3f} of that between digits")
        for digit in range(10):
            axis.scatter(*features[labels == digit].T, s=3, label=str(digit), color=f"C{digit}")
        axis.set_title(f"weight {factor:g}: accuracy {accuracy:.1%}")
    axes[0, -1].legend(markerscale=3, fontsize=7)
    folder = Path(args.output_dir or rundir.runs_dir() / "chapter06_face" / "center_loss")
    save_figure(folder / "features.png", figure)
    files.write_json(folder / "features.json", rows)
    if args.publish:
        results.publish_rows(__file__, argv, "center_loss", rows)
    print(f"the features: {folder / 'features.png'}")
    return {f"spread_{row['weight']:g}": row["spread"] for row in rows}


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    digits.add_flags(parser)
    parser.add_argument("--factors", type=cli.non_negative_float, nargs="+",
                        default=[0.0, 0.01, 0.1, 1.0], help="weights of the center loss")
    parser.add_argument("--alfa", type=cli.from_0_to_1, default=0.5,
                        help="share of a center that stays at an update")
    parser.add_argument("--steps", type=cli.positive_int, default=400, help="updates per weight")
    parser.add_argument("--batch_size", type=cli.size, default=64, help="images per update")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter06_face/center_loss)")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of weights and batches")
    parser.add_argument("--publish", action=argparse.BooleanOptionalAction, default=False,
                        help="write the table to results/")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: experiment(build_parser().parse_args(argv), argv))


if __name__ == "__main__":
    raise SystemExit(main())
