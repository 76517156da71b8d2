"""Stylizes a photograph by gradient descent on its pixels (section 7.1.1; Gatys et al. 2015).

    python optimize.py photo.jpg                                   # the losses of the latest run
    python optimize.py photo.jpg --name NAME --style_image wave.jpg
    python optimize.py photo.jpg --method lbfgs --start noise
    python optimize.py photo.jpg --style_weight 0 --start noise    # reconstructs the content
    python optimize.py photo.jpg --content_weight 0 --start noise  # reconstructs the style
    python optimize.py photo.jpg --layers content                  # figure 7-2, layer by layer
    python optimize.py photo.jpg --layers style                    # figure 7-3, layer by layer

The slow method, for which the book has no code. No network is trained: the loss of a run of
train.py is minimized for one photograph. Images of more than 500 pixels are done coarse to fine.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from chapter07_style_transfer import data, mixture
from chapter07_style_transfer.flags import check_sizes
from chapter07_style_transfer.gatys import optimize, sizes
from chapter07_style_transfer.inference import open_objective
from chapter07_style_transfer.objective import PIXELS
from common import cli, images
from common.errors import UserError

MAX_SIZE = 512  # pixels of the shorter side, unless --size is given
OWN = ("style_image", "style_size", "content_weight", "style_weight", "tv_weight",
       "content_layers", "style_layers")  # flags of train.py that this script may override


def settle(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Lets the flags of this command line override those of the run."""
    for flag in OWN:
        if (value := vars(args)[flag]) is not None:
            setattr(flags, flag, value)
    number = mixture.choose(flags.style_image, args.style)
    flags.style_image = mixture.split(flags.style_image)[number]


def paint(
    args: argparse.Namespace, flags: argparse.Namespace, photograph: np.ndarray
) -> np.ndarray:
    """Stylizes one photograph with a progress bar; prints the losses before and after.

    Returns:
        uint8 of shape (height, width, 3).
    """
    objective, _, _ = open_objective(flags)
    rounds = len(sizes(*photograph.shape[:2]))
    history: list[float] = []
    with tqdm(total=sum(max(1, args.steps >> k) for k in range(rounds)), disable=None) as bar:

        def report(step: int, losses: dict[str, float]) -> None:
            history.append(losses["total_loss"])
            bar.set_postfix_str(f"total loss {history[-1]:.4g}", refresh=False)
            bar.update(step + 1 - bar.n)

        began = time.monotonic()
        image = optimize(objective, photograph, args.steps, args.method, args.start,
                         args.learning_rate, args.seed, report)
    print(f"total loss {history[0]:.4g} -> {min(history[-10:]):.4g} in {len(history)} steps, "
          f"{time.monotonic() - began:.1f} s")
    return np.uint8(image.round())


def layer_by_layer(
    args: argparse.Namespace, flags: argparse.Namespace, photograph: np.ndarray
) -> list[np.ndarray]:
    """Reconstructs a photograph's content, or the style, from each layer alone.

    The style of figure 7-3 is that of all layers up to one, as in the paper. The run's weight of
    total variation stays.
    """
    layers = [layer for layer in flags.style_layers.split(",") if layer != PIXELS]
    shown = []
    for count, layer in enumerate(layers, 1):
        if args.layers == "content":
            flags.content_layers, flags.content_weight, flags.style_weight = layer, 1.0, 0.0
        else:
            flags.style_layers, flags.content_weight = ",".join(layers[:count]), 0.0
        print(f"{args.layers} of {layer}", file=sys.stderr)
        shown.append(paint(args, flags, photograph))
    return shown


def stylize_files(args: argparse.Namespace, flags: argparse.Namespace) -> None:
    """Stylizes one photograph and writes the image or, with --layers, a row of images."""
    settle(args, flags)
    photograph = images.read_image(Path(args.photograph))
    size = args.size or min(MAX_SIZE, *photograph.shape[:2])
    check_sizes(flags.network, size=size, style_size=flags.style_size)
    if size != min(photograph.shape[:2]):
        photograph = data.resize(photograph, size)
        if not args.size:
            height, width, _ = photograph.shape
            print(f"reduced to {width} x {height} pixels: larger images take hours, and gigabytes "
                  "of memory; --size chooses another size")
    output = Path(args.output) if args.output else args.run_dir / "samples" / "optimized.png"
    if output.suffix.lower() != ".png" or (args.output and not output.parent.is_dir()):
        raise UserError(f"cannot write to --output {output}",
                        "name a .png file in an existing folder")
    if args.layers:
        cli.refuse_idle(args, ["start"], f"--layers {args.layers}")
        args.start = "noise"
        shown = layer_by_layer(args, flags, photograph)
        images.write_png(output, images.grid(shown, len(shown)))
    else:
        images.write_png(output, paint(args, flags, photograph))
    print(f"wrote {output}")


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.verb_parser(__file__, __doc__)
    parser.add_argument("photograph", type=cli.path, help="image file")
    parser.add_argument("--output", type=cli.path, metavar="PNG",
                        help="file to write (default: samples/optimized.png in the run folder)")
    parser.add_argument("--size", type=cli.size,
                        help="pixels of the shorter side (default: as the file, at most "
                             f"{MAX_SIZE})")
    parser.add_argument("--steps", type=cli.positive_int, default=500,
                        help="updates; an image twice as large gets half as many more")
    parser.add_argument("--method", choices=["adam", "lbfgs"], default="adam", help="optimizer")
    parser.add_argument("--start", choices=["content", "noise"], default="content",
                        help="start from the photograph or from noise")
    parser.add_argument("--learning_rate", type=cli.positive_float, default=4.0,
                        help="of Adam, of values in [0, 255]")
    parser.add_argument("--seed", type=cli.seed, default=0, help="seed of the noise")
    parser.add_argument("--layers", choices=["content", "style"],
                        help="reconstruct the content or the style of the run's style layers, one "
                             "after the other")
    parser.add_argument("--style", metavar="NAME",
                        help="one of the run's styles, by name or number (default: the first)")
    group = parser.add_argument_group("in place of the flags of the run")
    group.add_argument("--style_image", type=mixture.style_images, help="style image")
    group.add_argument("--style_size", type=cli.size, help="pixels of its shorter side")
    for name in ("content", "style", "tv"):
        group.add_argument(f"--{name}_weight", type=cli.non_negative_float, help="weight of a loss")
    for name in ("content", "style"):
        group.add_argument(f"--{name}_layers", help="layers, comma-separated")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return cli.run_verb(stylize_files, build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
