"""Draws the paths of six optimizers on one surface, and compares them with Keras.

    python optimizers.py
    python optimizers.py --steps 300

The surface is a long valley, x**2 / 20 + y**2. Rules in NumPy (update_rules.py) make the paths;
Keras follows them in float64, and the largest distance between both is printed.
"""

import argparse
from collections.abc import Sequence

import keras
import numpy as np

from appendix_c_image_processing import pictures
from appendix_c_image_processing.update_rules import follow
from common import figures
from common.errors import exit_status
from common.figures import plt
from common.parser import Parser, number

START = np.array([-7.0, 2.0])
# Rates at which each gets down the valley, and the optimizers of Keras.
RATES = {"SGD + momentum": 0.05, "RMSprop": 0.2, "Adagrad": 1.5, "Adadelta": 50.0, "Adam": 0.3,
         "Adamax": 0.5}
KERAS = {
    "SGD + momentum": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
    "RMSprop": keras.optimizers.RMSprop, "Adagrad": keras.optimizers.Adagrad,
    "Adadelta": keras.optimizers.Adadelta, "Adam": keras.optimizers.Adam,
    "Adamax": keras.optimizers.Adamax,
}


def height(x: np.ndarray) -> np.ndarray:
    """Returns the height of the surface at points of shape (..., 2)."""
    return x[..., 0] ** 2 / 20 + x[..., 1] ** 2


def gradient(x: np.ndarray) -> np.ndarray:
    """Returns the gradient of `height` at a point of shape (2,)."""
    return np.array([x[0] / 10, 2 * x[1]])


def follow_keras(name: str, rate: float, steps: int) -> np.ndarray:
    """Returns the path of an optimizer of Keras, float64 of shape (steps + 1, 2)."""
    x = keras.Variable(START, dtype="float64")
    optimizer, path = KERAS[name](rate), [START]
    for _ in range(steps):
        optimizer.apply([gradient(path[-1])], [x])
        path.append(keras.ops.convert_to_numpy(x).copy())
    return np.array(path)


def draw(paths: dict[str, np.ndarray], args: argparse.Namespace) -> None:
    """Draws the paths on the surface, and the height by step."""
    figure, (plan, curves) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(3, 2),
                                          layout="tight")
    x, y = np.meshgrid(np.linspace(-8, 4, 200), np.linspace(-2.5, 2.5, 200))
    plan.contour(x, y, height(np.stack([x, y], axis=-1)), 20, cmap="Greys", alpha=0.5)
    for name, path in paths.items():
        plan.plot(*path.T, ".-", label=f"{name}, rate {RATES[name]:g}", markersize=3, linewidth=1)
        curves.plot(height(path), label=name)
    plan.plot(0, 0, "k+", markersize=12)
    plan.set(xlabel="x", ylabel="y", xlim=(-8, 4), ylim=(-2.5, 2.5))
    curves.set(xlabel="steps", ylabel="height", yscale="log", ylim=(1e-6, 10))
    curves.yaxis.set_major_formatter("{x:g}")
    plan.legend(fontsize=8, loc="lower right")
    figures.save_figure(args.output, figure)
    print(f"wrote {args.output}")


def build_parser() -> Parser:
    """Returns the parser."""
    parser = Parser(__file__, __doc__)
    parser.add_argument("--steps", type=number(int, 1, 9999, "a number from 1 to 9999"),
                        default=100, help="updates, from 1 to 9999")
    pictures.add_output(parser)
    return parser


def process(args: argparse.Namespace) -> dict[str, float]:
    """Draws the figure; returns the largest distance of each path from that of Keras."""
    paths = {name: follow(name, gradient, START, rate, args.steps) for name, rate in RATES.items()}
    draw(paths, args)
    return {name: float(np.abs(path - follow_keras(name, RATES[name], args.steps)).max())
            for name, path in paths.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: process(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
