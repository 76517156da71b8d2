"""Makes the book's pairs of sharp and blurred pictures for chapter 9's network (section 10.1).

    python prepare.py --dir-path photos --output_dir pairs                    # photos is only read
    python prepare.py --dir-path photos --output_dir pairs --move_to broken

What the book does step by step: pictures that cannot be decoded or are not RGB are listed in
left_out.txt, and moved aside only with --move_to. The others are cropped to squares and resized,
blurred by reducing them to a quarter and enlarging them again, joined with their blurred copies (A
is sharp, B is blurred), and divided into train and val. Then:

    python -m chapter09_pix2pix.train --preset book --epochs 20 --which_direction BtoA \
        --data_dir pairs

The operations are those of chapter 9's process.py, the shares those of its split.py: a hash of the
name decides. Pairs that were written before are not made again, so that an interrupted command can
be repeated.
"""

import argparse
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from chapter09_pix2pix import process, split
from common import cli, images
from common.errors import UserError, exit_status

LEFT_OUT = "left_out.txt"
TEXT = {"encoding": "utf-8", "errors": "surrogateescape"}  # names of files may be any bytes
SHOWN = 5  # pictures left out that are printed; all are in the list


def problem_with(path: Path) -> str:
    """Returns why the book leaves a picture out, an empty text if it does not."""
    try:
        images.read_image(path)
        with Image.open(path) as image:
            return "" if image.mode == "RGB" else f"not RGB, but {image.mode}"
    except UserError as error:
        return str(error).removeprefix(f"{path} ")


def move_aside(paths: Sequence[Path], target: Path) -> None:
    """Moves files to a folder.

    Raises:
        UserError: one of that name is there already; nothing is moved then.
    """
    target.mkdir(parents=True, exist_ok=True)
    if taken := [target / path.name for path in paths if (target / path.name).exists()]:
        raise UserError(f"{taken[0]} is there already", "give another --move_to")
    for path in paths:
        shutil.move(path, target / path.name)


def write_list(path: Path, lines: Sequence[str]) -> None:
    """Writes the list of files left out, and keeps the lines of those moved aside earlier."""
    before = path.read_text(**TEXT).splitlines() if path.exists() else []
    moved = [line for line in before if not Path(line.split("\t")[0]).exists()]
    path.write_text("".join(f"{line}\n" for line in [*moved, *lines]), **TEXT)


def check_written(output: Path, targets: Sequence[Path], size: int) -> None:
    """Raises UserError if pairs in the folder were written with other shares or another size."""
    parts = {target.stem: target for target in targets}
    for path in (path for part in split.PARTS for path in (output / part).glob("*.png")):
        if path != parts.get(path.stem, path):
            raise UserError(f"{path} was written with other shares: it belongs in "
                            f"{parts[path.stem].parent.name} now", "give another --output_dir")
        with Image.open(path) as image:
            if image.size != (2 * size, size):
                raise UserError(f"{path} has {image.width} x {image.height} pixels, --size {size} "
                                "makes others", "give another --output_dir")


def make_pair(path: Path, size: int) -> np.ndarray:
    """Returns a sharp square and its blurred copy side by side.

    Args:
        path: of a picture.
        size: height and width of each.

    Returns:
        uint8 of shape (size, 2 * size, 3).
    """
    options = argparse.Namespace(size=size, pad=False)
    sharp = process.OPERATIONS["resize"](images.read_image(path), path, options)
    blurred = process.OPERATIONS["blur"](sharp, path, options)
    return np.concatenate([sharp, blurred], axis=1)


def check(args: argparse.Namespace) -> None:
    """Raises UserError if folders or shares contradict each other."""
    if args.train_frac + args.test_frac > 1:
        raise UserError(f"--train_frac {args.train_frac} and --test_frac {args.test_frac} are "
                        "more than 1", "lower one of them")
    for flag in ("output_dir", "move_to"):
        if vars(args)[flag] == args.dir_path:
            raise UserError(f"--{flag} and --dir_path are both {args.dir_path}",
                            "give another folder")


def prepare(args: argparse.Namespace) -> None:
    """Makes all pairs that are missing.

    Raises:
        UserError: no picture can be used, two have the same name without suffix, or the folder has
            pairs of other flags.
    """
    check(args)
    output = Path(args.output_dir)
    listed = list(process.list_stems(Path(args.dir_path), "--dir_path").values())
    with ThreadPoolExecutor(args.workers) as pool:
        problems = dict(zip(listed, tqdm(pool.map(problem_with, listed), "looking",
                                         len(listed), unit="image", disable=None), strict=True))
    bad = [path for path in listed if problems[path]]
    if len(bad) == len(listed):
        raise UserError(f"{args.dir_path} holds no RGB pictures that can be decoded, but "
                        f"{bad[0].name}: {problems[bad[0]]}", "check --dir_path")
    targets = {path: output / split.part_of(split.share_of(path), args.train_frac, args.test_frac)
               / f"{path.stem}.png" for path in listed if not problems[path]}
    check_written(output, list(targets.values()), args.size)
    output.mkdir(parents=True, exist_ok=True)
    lines = [f"{path}\t{problems[path]}" for path in bad]
    write_list(output / LEFT_OUT, lines)
    print("\n".join([f"{len(bad)} of {len(listed)} files are left out, see {output / LEFT_OUT}",
                     *lines[:SHOWN], *["..."] * (len(lines) > SHOWN)]))
    missing = [path for path, target in targets.items() if not target.exists()]

    def one(path: Path) -> None:
        target = targets[path]
        target.parent.mkdir(exist_ok=True)
        part = target.with_suffix(".part")
        Image.fromarray(make_pair(path, args.size)).save(part, "png")
        part.replace(target)

    with ThreadPoolExecutor(args.workers) as pool:
        for _ in tqdm(pool.map(one, missing), "pairs", len(missing), unit="image", disable=None):
            pass
    if args.move_to and bad:
        move_aside(bad, Path(args.move_to))
        print(f"{len(bad)} moved to {args.move_to}")
    counts = {part: sum(target.parent.name == part for target in targets.values())
              for part in split.PARTS}
    print(f"{output}: {len(missing)} pairs written, {len(targets) - len(missing)} already there; "
          + ", ".join(f"{count} {name}" for name, count in counts.items()))


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("-p", "--dir_path", "--dir-path", type=cli.path, required=True,
                        help="folder of pictures")
    parser.add_argument("--output_dir", type=cli.path, required=True,
                        help="folder of the pairs, created if necessary")
    parser.add_argument("--move_to", type=cli.path,
                        help="folder to which pictures that are left out are moved (default: they "
                             "stay)")
    parser.add_argument("--size", type=cli.size, default=256,
                        help="height and width of each half in pixels")
    parser.add_argument("--train_frac", type=cli.from_0_to_1, default=0.8,
                        help="share of the pairs to train on")
    parser.add_argument("--test_frac", type=cli.from_0_to_1, default=0.0,
                        help="share of the pairs to test on; the rest is for validation")
    parser.add_argument("--workers", type=cli.small_int, default=1, help="pictures at a time")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return exit_status(lambda: prepare(build_parser().parse_args(argv)))


if __name__ == "__main__":
    raise SystemExit(main())
