"""Explains predictions by Grad-CAM: which regions support a class (Selvaraju et al. 2017).

    python grad_cam.py photo.jpg scan.png
    python grad_cam.py ../data/textures/pictures/validation/*/000.jpg --output_dir why

Draws grad_cam.png, a row for each image: the network's input, then the heatmaps of the most and the
second most probable class.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from chapter03_finetune import augmentation
from chapter03_finetune.inference import load_run
from common import cli, figures, images
from common.errors import raise_together, try_each
from common.figures import plt

BATCH = 32  # images at once


def grad_cam(model: keras.Model, pictures: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Computes the Grad-CAM heatmaps of all classes.

    Grad-CAM weights the last feature maps by the mean gradient of a class's logit. In networks that
    take the mean of these maps over all positions, as all do here, it is the gradient with respect
    to that mean, divided by the number of positions.

    Args:
        model: from `model.build_model`.
        pictures: float32 of shape (count, size, size, 3) in [0, 255].

    Returns:
        The heatmaps, float32 of shape (count, height, width, classes), at least 0, at the
        resolution of the feature maps; and the probabilities, of shape (count, classes).
    """
    backbone, head = model.get_layer("backbone"), model.get_layer("logits")
    mean = backbone.get_layer("avg_pool")
    last_maps = keras.Model(backbone.inputs, mean.input)
    rest = keras.Model(mean.output, head(backbone.output))
    maps = tf.cast(last_maps(pictures, training=False), tf.float32)
    with tf.GradientTape() as tape:
        features = tf.reduce_mean(maps, axis=(1, 2))
        tape.watch(features)
        logits = rest(features, training=False)
    gradients = tape.batch_jacobian(logits, features)  # (count, classes, channels)
    positions = maps.shape[1] * maps.shape[2]
    heat = tf.nn.relu(tf.einsum("nhwc,nkc->nhwk", maps, gradients / positions))
    return heat.numpy(), tf.nn.softmax(logits).numpy()


def draw(model: keras.Model, pictures: tf.Tensor, names: Sequence[str], png: Path) -> None:
    """Draws inputs of `grad_cam` and the heatmaps of their two most probable classes."""
    parts = [grad_cam(model, pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
    heat, probabilities = map(np.concatenate, zip(*parts, strict=True))
    figure, axes = plt.subplots(len(pictures), 3, squeeze=False,
                                figsize=(7, 2.5 * len(pictures)), layout="tight")
    for row, picture, maps, chances in zip(axes, pictures, heat, probabilities, strict=True):
        likely = chances.argsort()[::-1][:2]
        for axis, label in zip(row, (None, *likely), strict=True):
            axis.imshow(np.uint8(picture))
            axis.axis("off")
            if label is not None:
                axis.set_title(f"{names[label]} {chances[label]:.0%}", fontsize=9)
                shown = tf.image.resize(maps[..., label : label + 1], picture.shape[:2], "bicubic")
                axis.imshow(shown[..., 0], cmap="inferno", alpha=0.6, vmin=0,
                            vmax=maps[..., likely].max())
    figures.save_figure(png, figure)


def explain(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Draws grad_cam.png for image files.

    Raises:
        UserError: files could not be read; all others were drawn.
    """
    model, names = load_run(args, flags)
    size = model.input_shape[1]
    pictures: list[tf.Tensor] = []
    errors = try_each(lambda path: pictures.append(
        augmentation.centre(images.read_image(Path(path)), size)), args.pictures)
    if pictures:
        png = Path(args.output_dir or args.run_dir) / "grad_cam.png"
        draw(model, tf.stack(pictures), names, png)
        print(f"{png}: does the network look where you would?")
    raise_together(errors)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("pictures", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: the run folder)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(explain, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
