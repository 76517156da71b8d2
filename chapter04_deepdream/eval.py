"""Evaluates a dream: its objective against that of the start picture and of noise.

    python eval.py
    python eval.py --name NAME --publish SUFFIX

For every octave, the objective of three pictures is measured at that size: the start picture, the
dream, and the start picture plus noise with the norm of what the dream has changed. Noise changes
as much and activates nothing. Writes eval.json, objective.png (by octave and by step) and
spectrum.png: the strength of the frequency bands of the gradient, before and after Laplacian
normalization, and of what the dream has changed.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from chapter04_deepdream import data, flags, pyramid
from chapter04_deepdream.ascent import Measure, make_measure
from chapter04_deepdream.inference import load_run
from common import cli, figures, files, results, rundir
from common.figures import plt
from common.monitor import read_curve


def noisy(start: tf.Tensor, dream: tf.Tensor, seed: int) -> tf.Tensor:
    """Returns the start picture plus Gaussian noise with the norm of `dream - start`."""
    noise = tf.random.stateless_normal(tf.shape(start), (seed, 0))
    return start + noise * (tf.norm(dream - start) / tf.norm(noise))


def band_strengths(images: tf.Tensor) -> np.ndarray:
    """Returns the root mean square of each band of the Laplacian pyramid, the finest first."""
    return np.array([float(tf.squeeze(pyramid.rms(band))) for band in pyramid.split(images)])


def measure_at(
    size: tf.Tensor, start: tf.Tensor, dream: tf.Tensor, measure: Measure, seed: int
) -> dict[str, float]:
    """Returns the objective of the start picture, with noise too, and of the dream at a size."""
    before, after = pyramid.resize(start, size), pyramid.resize(dream, size)
    pictures = {"start": before, "noise": noisy(before, after, seed), "dream": after}
    values = {name: float(measure(picture)[1][0]) for name, picture in pictures.items()}
    print(f"{size[1]} x {size[0]}: "
          + ", ".join(f"{name} {value:.4g}" for name, value in values.items()))
    return values


def draw_spectrum(bands: dict[str, np.ndarray], png: Path) -> None:
    """Draws strengths of frequency bands, each line relative to its strongest band."""
    figure, axes = plt.subplots(figsize=(6, 3.5))
    for label, strengths in bands.items():
        axes.plot(strengths / strengths.max(), marker="o", label=label)
    names = [f"band {number}" for number in range(1, pyramid.LEVELS + 1)]
    axes.set_xticks(range(pyramid.LEVELS + 1), [*names, "rest"])
    axes.set(xlabel="fine to coarse", ylabel="relative strength", ylim=(0, 1.05))
    axes.grid(alpha=0.3)
    axes.legend()
    figures.save_figure(png, figure)


def draw_objective(run_dir: Path, by_octave: Sequence[dict[str, float]], png: Path) -> None:
    """Draws the objective by step, and by octave for start picture, noise and dream."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="tight")
    steps, values = read_curve(run_dir, "train", "objective")
    left.plot(steps, values)
    left.set(xlabel="step", ylabel="objective")
    octaves = np.arange(1, len(by_octave) + 1)
    for number, name in enumerate(by_octave[0]):
        heights = [values[name] for values in by_octave]
        right.bar(octaves + (number - 1) * 0.27, heights, 0.25, label=name)
    right.set(xlabel="octave", xticks=octaves)
    right.legend()
    figures.save_figure(png, figure)


def evaluate(args: argparse.Namespace, settings: argparse.Namespace) -> dict[str, float]:
    """Measures a dream, writes eval.json and the figures; returns its objective."""
    dream = load_run(args, settings)
    start = data.load(settings.image, settings.size, settings.seed)
    rundir.check_data(args.run_dir, files.sha256(start.numpy(), dream.network.digest.encode()))
    sizes = pyramid.octave_sizes(start.shape[1:3], settings.octaves, settings.octave_scale,
                                 flags.growing(settings))
    measure = make_measure(dream.objective, settings.tile_size)
    by_octave = [measure_at(size, start, dream.pixels, measure, settings.seed) for size in sizes]
    gradient, _ = measure(pyramid.resize(start, sizes[-1]))
    change = dream.pixels - pyramid.resize(start, dream.pixels.shape[1:3])
    bands = {"gradient": gradient, "normalized gradient": pyramid.normalize_bands(gradient),
             "change of the picture": change}
    bands = {name: band_strengths(images) for name, images in bands.items()}
    draw_spectrum(bands, args.run_dir / "spectrum.png")
    draw_objective(args.run_dir, by_octave, args.run_dir / "objective.png")
    scores = {name: {"objective": value} for name, value in by_octave[-1].items()}
    scores["dream"] |= {"change_rms": float(tf.squeeze(pyramid.rms(change))), "pictures": 1}
    model = f"{Path(settings.network).stem}-{settings.method}"
    details = {"objective_by_octave": by_octave,
               "bands": {name: list(map(float, values)) for name, values in bands.items()}}
    results.write(args, Path(settings.image).stem, model, scores, {}, details)
    print(f"objective.png and spectrum.png written to {args.run_dir}")
    return scores["dream"]


def build_parser() -> cli.Parser:
    """Returns the parser; there is no best checkpoint, the latest one is evaluated."""
    parser = cli.verb_parser(__file__, __doc__, checkpoint="latest", data=flags.FILES)
    results.add_publish_flag(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(evaluate, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
