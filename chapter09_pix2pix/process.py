"""Prepares images, and makes pairs of them (book, section 9.3.2).

    python process.py --input_dir photos --operation resize --output_dir resized
    python process.py --input_dir resized --operation edges --output_dir edges
    python process.py --input_dir resized --b_dir edges --operation combine --output_dir pairs
    python split.py --dir pairs

grayscale: without colour. resize: cropped to a square, or padded to one, and resized. blank: with
a white square in the middle, to be filled in. edges: lines. blur: reduced and enlarged again.
combine: A|B side by side with the file of the same name in --b_dir.

Results are named after their files, without the suffix, which must differ. Those that were written
before are not made again, so that an interrupted command can be repeated. What cannot be read is
listed, and the rest is done.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from chapter09_pix2pix import edges
from common import cli, images
from common.errors import UserError, exit_status, raise_together, try_each
from common.flags import typed_flags

BLANK = 0.3  # side of the white square, as a share of the image's
BLUR = 4  # factor by which `blur` reduces
JPEG_QUALITY = 95


def scale(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resizes: reduces by averaging areas, enlarges by bicubic interpolation."""
    smaller = width < picture.shape[1]
    return cv2.resize(picture, (width, height),
                      interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def grayscale(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Returns an image without colour."""
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=-1)


def resize(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Crops an image to its central square, or pads it with black; then resizes it."""
    height, width = picture.shape[:2]
    if args.pad:
        side = max(height, width)
        square = np.zeros((side, side, 3), np.uint8)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = picture
    else:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = picture[top : top + side, left : left + side]
    return scale(square, args.size, args.size)


def blank(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Returns an image with a white square in the middle."""
    height, width = picture.shape[:2]
    side = round(BLANK * min(height, width))
    top, left = (height - side) // 2, (width - side) // 2
    result = picture.copy()
    result[top : top + side, left : left + side] = 255
    return result


def find_edges(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Returns the edges of an image, black on white."""
    return edges.DETECTORS[args.edges](picture)


def blur(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Reduces an image and enlarges it again."""
    height, width = picture.shape[:2]
    small = scale(picture, max(1, width // BLUR), max(1, height // BLUR))
    return scale(small, width, height)


def combine(picture: np.ndarray, path: Path, args: argparse.Namespace) -> np.ndarray:
    """Joins an image with the one of the same name in `--b_dir`.

    Raises:
        UserError: there is none, or it is of another size.
    """
    if (partner := args.partners.get(path.stem)) is None:
        raise UserError(f"{path} has no partner in {args.b_dir}", "give both the same name")
    other = images.read_image(partner)
    if other.shape != picture.shape:
        sizes = " and ".join(f"{i.shape[1]} x {i.shape[0]}" for i in (picture, other))
        raise UserError(f"{path} and {partner} have {sizes} pixels",
                        "resize both first: --operation resize")
    return np.concatenate([picture, other], axis=1)


Operation = Callable[[np.ndarray, Path, argparse.Namespace], np.ndarray]
OPERATIONS: dict[str, Operation] = {
    "grayscale": grayscale,
    "resize": resize,
    "blank": blank,
    "combine": combine,
    "edges": find_edges,
    "blur": blur,
}


OWN_FLAGS = {"resize": ("pad", "size"), "combine": ("b_dir",), "edges": ("edges",)}


def list_stems(folder: Path, flag: str) -> dict[str, Path]:
    """Returns the files of a folder by name without suffix.

    Raises:
        UserError: there are none, or two of the same name.
    """
    listed = images.list_folder(folder) if folder.is_dir() else []
    if not listed:
        raise UserError(f"{folder} holds no files", f"check {flag}")
    found: dict[str, Path] = {}
    for path in listed:
        if (other := found.setdefault(path.stem, path)) != path:
            raise UserError(f"{other} and {path} have the same name without suffix",
                            "rename one of them")
    return found


def check(args: argparse.Namespace) -> None:
    """Raises UserError if folders or flags contradict each other, or a flag has no effect."""
    source, target = Path(args.input_dir), Path(args.output_dir)
    for operation, flags in OWN_FLAGS.items():
        if operation != args.operation:
            cli.refuse_idle(args, flags, f"--operation {args.operation}")
    if args.operation == "combine" and not args.b_dir:
        raise UserError("--operation combine without --b_dir", "give the folder of the other half")
    if source == target:
        raise UserError(f"--input_dir and --output_dir are both {source}", "give another folder")
    if args.operation == "combine" and Path(args.b_dir) == target:
        raise UserError(f"--b_dir and --output_dir are both {target}", "give another folder")
    if args.edges == "hed" and args.operation == "edges":
        edges.load_hed()


def process(args: argparse.Namespace) -> None:
    """Applies the operation to all files.

    Raises:
        UserError: there are none, or some cannot be processed; all others are.
    """
    check(args)
    target, suffix = Path(args.output_dir), {"png": ".png", "jpeg": ".jpg"}[args.output_filetype]
    paths = list_stems(Path(args.input_dir), "--input_dir")
    if args.operation == "combine":
        args.partners = list_stems(Path(args.b_dir), "--b_dir")
    target.mkdir(parents=True, exist_ok=True)
    missing = [path for stem, path in paths.items() if not (target / (stem + suffix)).exists()]

    def one(path: Path) -> None:
        made = OPERATIONS[args.operation](images.read_image(path), path, args)
        written = target / (path.stem + suffix)
        part = written.with_suffix(".part")
        Image.fromarray(made).save(part, args.output_filetype, quality=JPEG_QUALITY)
        part.replace(written)

    with ThreadPoolExecutor(args.workers) as pool:
        tried = pool.map(lambda path: try_each(one, [path]), missing)
        errors = [*chain.from_iterable(tqdm(tried, total=len(missing), unit="image",
                                            disable=None))]
    print(f"{target}: {len(missing) - len(errors)} written by {args.operation}, "
          f"{len(paths) - len(missing)} already there")
    raise_together(errors)


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    parser.add_argument("--input_dir", type=cli.path, required=True, help="folder of images")
    parser.add_argument("--output_dir", type=cli.path, required=True,
                        help="folder of the results, created if necessary")
    parser.add_argument("--operation", choices=list(OPERATIONS), required=True,
                        help="what is done to each image")
    parser.add_argument("--workers", type=cli.small_int, default=1, help="images at a time")
    parser.add_argument("--pad", action=argparse.BooleanOptionalAction, default=False,
                        help="resize: pad images that are not square, do not crop them")
    parser.add_argument("--size", type=cli.size, default=256,
                        help="resize: height and width in pixels")
    parser.add_argument("--b_dir", type=cli.path, help="combine: folder of the right halves")
    parser.add_argument("--edges", choices=list(edges.DETECTORS), default="canny",
                        help="edges: the detector; hed is the original's network")
    parser.add_argument("--output_filetype", choices=["png", "jpeg"], default="png",
                        help="format of the results")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    def run() -> None:
        args = (parser := build_parser()).parse_args(argv)
        args.typed = typed_flags(parser, argv)
        process(args)

    return exit_status(run)


if __name__ == "__main__":
    raise SystemExit(main())
