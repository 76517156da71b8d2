"""Pictures to dream on: noise, two photographs of scikit-learn, or your own.

    python data.py                          # the photograph "china", and its octaves
    python data.py --image photo.jpg --size 800
    python data.py --image noise

Writes the start picture of each octave, and the bands of the Laplacian pyramid of the largest one.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sklearn.datasets
import tensorflow as tf

from chapter04_deepdream import pyramid
from common import cli, figures, files, images, rundir
from common.errors import UserError, exit_status
from common.figures import plt
from common.flags import typed_flags

NOISE_SIZE = 224  # book, section 4.2.2
GUIDE_SIZE = 224  # longer side of the picture of a guided dream, as in the published notebook
OFFLINE = {
    "noise": "uniform noise in [100, 101], from a seed (`--image noise`)",
    "china": "a photograph of scikit-learn, 640x427, CC BY (`--image china`)",
    "flower": "a photograph of scikit-learn, 640x427, CC BY (`--image flower`)",
}
GRAPH = "tensorflow_inception_graph.pb"
BOOK = "https://github.com/hzy46/Deep-Learning-21-Examples/tree/master/chapter_4"
SOURCES = {
    "inception5h": files.Source(
        f"The book's network, `{GRAPH}`: GoogLeNet trained on ImageNet, 54 MB, Apache 2.0. Unpack "
        "the archive in the folder below (`--preset book`), or give `--network FILE.pb`",
        (files.File(
            "inception5h.zip", "d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
            ("https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",)),),
    ),
    "deepdream_photo": files.Source(
        f"The book's photograph, test.jpg, in its repository: [chapter_4]({BOOK}); no licence "
        "stated. Any picture will do: `--image test.jpg`",
        (),
    ),
}


def image(text: str) -> str:
    """Returns the name of an offline picture, or the absolute path of a file (argparse `type`)."""
    return text if text in OFFLINE else cli.path(text)


def add_flags(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds the flags of the start picture."""
    group = parser.add_argument_group("picture")
    group.add_argument("--image", type=image, default=default,
                       help=f"{', '.join(OFFLINE)}, or an image file")
    group.add_argument("--size", type=cli.size,
                       help="longer side of the start picture in pixels (default: that of the "
                            f"file; noise: {NOISE_SIZE})")


def load(name: str, size: int | None = None, seed: int = 0) -> tf.Tensor:
    """Returns a picture, float32 of shape (1, height, width, 3) in [0, 255].

    Args:
        name: one of OFFLINE, or the path of an image file.
        size: longer side in pixels; None is its own.
        seed: of noise.

    Raises:
        UserError: the file cannot be read.
    """
    if name == "noise":
        side = size or NOISE_SIZE
        noise = np.random.default_rng(seed).uniform(size=(1, side, side, 3)) + 100
        return tf.constant(noise, tf.float32)
    if name in OFFLINE:
        pixels = sklearn.datasets.load_sample_image(f"{name}.jpg")
    else:
        pixels = images.read_image(Path(name))
    picture = tf.constant(pixels[None], tf.float32)
    if size is None:
        return picture
    height, width, _ = pixels.shape
    scale = size / max(height, width)
    return pyramid.resize(picture, [max(1, round(side * scale)) for side in (height, width)])


def find_graph() -> str:
    """Returns the path of the book's network in its default folder."""
    return str(files.default_dir("inception5h") / GRAPH)


def check_graph(network: str) -> None:
    """Raises UserError if the network is a frozen graph that does not exist."""
    if network.endswith(".pb") and not Path(network).is_file():
        (archive,) = SOURCES["inception5h"].files
        raise UserError(
            f"there is no frozen graph {network}",
            f"the book's is in {archive.urls[0]} (sha256 {archive.sha256}): unpack it there, or "
            "give another --network")


def to_uint8(pixels: tf.Tensor, stretch: bool = False) -> np.ndarray:
    """Returns a picture to look at, uint8 of shape (height, width, 3).

    Args:
        pixels: float32 of shape (1, height, width, 3).
        stretch: whether the middle 98 % of all values are spread over [0, 255]. A picture made
            from noise has no brightness and contrast of its own.
    """
    pixels = np.asarray(pixels)[0]
    if stretch:
        low, high = np.percentile(pixels, (1, 99))
        pixels = (pixels - low) * 255 / max(high - low, 1e-4)
    return np.uint8(np.rint(np.clip(pixels, 0, 255)))


def draw_bands(picture: tf.Tensor, png: Path) -> None:
    """Draws the bands of a picture's Laplacian pyramid, each at the size of the picture."""
    *bands, rest = pyramid.split(picture)
    figure, axes = plt.subplots(2, 3, figsize=(12, 5.6), layout="tight")
    shown = {"picture": to_uint8(picture)}
    for number, band in enumerate(bands, 1):
        scale = 2.5 * float(tf.math.reduce_std(band)) + 1e-4
        height, width = band.shape[1:3]
        title = f"band {number}, {width} x {height}, rms {float(pyramid.rms(band)[0, 0, 0, 0]):.1f}"
        shown[title] = to_uint8((band / scale + 1) * 127.5)
    height, width = rest.shape[1:3]
    shown[f"rest, {width} x {height}"] = to_uint8(rest)
    for axis, (title, pixels) in zip(axes.flat, shown.items(), strict=True):
        axis.imshow(pixels, extent=(0, picture.shape[2], picture.shape[1], 0),
                    interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.axis("off")
    figures.save_figure(png, figure)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser, "china")
    parser.add_argument("--octaves", type=cli.layer_count, default=4, help="number of octaves")
    parser.add_argument("--octave_scale", type=cli.number(float, 1, 10, "a number from 1 to 10"),
                        default=1.4, help="ratio of two successive sizes")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of noise")
    parser.add_argument("--output_dir", type=cli.path,
                        help="output folder (default: runs/chapter04_deepdream/pictures)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the octaves and the bands of a picture."""

    def show() -> None:
        args = build_parser().parse_args(argv)
        args.typed = typed_flags(build_parser(), argv)
        if args.image != "noise":
            cli.refuse_idle(args, ["seed"], f"--image {args.image}")
        folder = Path(args.output_dir or rundir.runs_dir() / "chapter04_deepdream" / "pictures")
        picture = load(args.image, args.size, args.seed)
        sizes = pyramid.octave_sizes(picture.shape[1:3], args.octaves, args.octave_scale, False)
        for octave, size in enumerate(sizes):
            png = folder / f"octave_{octave + 1}.png"
            reduced = to_uint8(pyramid.resize(picture, size), args.image == "noise")
            images.write_png(png, reduced)
            print(f"octave {octave + 1}: {size[1]} x {size[0]}")
        draw_bands(picture, folder / "bands.png")
        print(f"{len(sizes)} octaves and bands.png written to {folder}")

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
