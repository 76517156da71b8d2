"""Reads and decodes images of any format, writes PNG files, and arranges images in a grid.

TensorFlow is imported by the functions of a graph only: appendices C and D read images without it.
"""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from common.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# Warnings of odd EXIF data and the like; unreadable files raise errors anyway. The filter is set
# once, because `catch_warnings` is not safe in several threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

# A file of a few kilobytes may hold an image of gigabytes. DL21_MAX_PIXELS raises the limit.
MAX_PIXELS = 64_000_000
Image.MAX_IMAGE_PIXELS = None  # Pillow's own limit

# The orientation in EXIF data, of a JPEG or PNG: byte order, header, entries of 12 bytes, and the
# entry with tag 0x0112, a 16-bit number.
ORIENTATION = (
    r"\C*?(?:Exif\x00\x00|eXIf)(?:"
    r"II\*\x00\x08\x00\x00\x00\C\C(?:\C{12}){0,40}?\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])"
    r"|MM\x00\*\x00\x00\x00\x08\C\C(?:\C{12}){0,40}?\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])"
    r")\C*"
)


def max_pixels() -> int:
    """Returns the largest number of pixels that is read: DL21_MAX_PIXELS, or MAX_PIXELS.

    Raises:
        UserError: DL21_MAX_PIXELS is not a whole number of at least 1.
    """
    text = os.environ.get("DL21_MAX_PIXELS") or str(MAX_PIXELS)
    try:
        limit = int(text)
    except ValueError:
        limit = 0
    if limit < 1:
        raise UserError(f"the environment variable DL21_MAX_PIXELS is {text!r}",
                        "set it to a whole number of pixels, such as 100000000, or unset it")
    return limit


def read_image(path: Path, mode: str = "RGB", keep_alpha: bool = False) -> np.ndarray:
    """Reads an image of any format and size, rotated as its EXIF data says.

    Args:
        path: the file.
        mode: "RGB", or "L" for greyscale.
        keep_alpha: whether a transparent image is returned with its alpha channel; otherwise it is
            composited on white.

    Returns:
        uint8 of shape (height, width, 3), or (height, width) for greyscale, in [0, 255]; of shape
        (height, width, 4) for a transparent image whose alpha is kept.

    Raises:
        UserError: the file does not exist, or is a pipe or device, or holds no image that can be
            decoded, or one with 32 bits per pixel, whose range is unknown, or with more than
            `max_pixels` pixels.
    """
    limit = max_pixels()
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # reading might never end
            raise UserError(f"{path} is a pipe or a device", "give a PNG or JPEG file")
        with Image.open(path) as image:
            if image.width * image.height > limit:
                raise UserError(
                    f"{path} has {image.width} x {image.height} pixels, more than {limit:,}",
                    "reduce it, or set the environment variable DL21_MAX_PIXELS to a higher limit")
            image = ImageOps.exif_transpose(image)
            if image.mode in ("I", "F"):  # Pillow clips them to black and white
                raise UserError(f"{path} has grey values of 32 bits (mode {image.mode})",
                                "save it with 8 or 16 bits, as a PNG")
            if image.mode.startswith("I;16"):  # Pillow clips 16 bits, it does not scale
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                if keep_alpha:
                    return np.asarray(image)
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert(mode))
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}", "check the path") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path} is not a readable image ({error})", "give a complete PNG or JPEG file"
        ) from error


def list_folder(folder: Path, recursive: bool = False) -> list[Path]:
    """Returns the files in a folder in alphabetical order, without hidden ones.

    Args:
        folder: the folder.
        recursive: whether files in subfolders are listed too.
    """
    found = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(path for path in found if path.is_file() and not any(
        part.startswith(".") for part in path.relative_to(folder).parts))


def decode_jpeg(encoded: "tf.Tensor") -> "tf.Tensor":
    """Decodes a JPEG in a graph; of one without EXIF rotation, what `read_image` returns.

    Args:
        encoded: the bytes of the JPEG, a string scalar.

    Returns:
        uint8 of shape (height, width, 3) in [0, 255].
    """
    import tensorflow as tf

    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def upright(image: "tf.Tensor", encoded: "tf.Tensor") -> "tf.Tensor":
    """Rotates a decoded image in a graph as the EXIF data of its file says.

    Args:
        image: of shape (height, width, channels).
        encoded: the bytes of the file, a string scalar.
    """
    import tensorflow as tf

    head = tf.strings.substr(encoded, 0, 1 << 16)  # the length of EXIF data is at most 64 kB
    found = tf.strings.regex_full_match(head, ORIENTATION)
    tag = tf.cond(found, lambda: tf.strings.regex_replace(head, ORIENTATION, r"\1\2"),
                  lambda: tf.constant(b"\1"))
    orientation = tf.cast(tf.io.decode_raw(tag, tf.uint8)[0], tf.int32)
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    down, right = (tf.where(tf.reduce_any(orientation == flipped), -1, 1)
                   for flipped in ((3, 4, 7, 8), (2, 3, 6, 7)))
    return image[::down, ::right]


def decode_on_white(encoded: "tf.Tensor") -> "tf.Tensor":
    """Decodes an image in a graph like `read_image`, except for 16 bits.

    Args:
        encoded: the bytes of a PNG, JPEG, BMP or GIF (of which the first frame is decoded), a
            string scalar.

    Returns:
        float32 of shape (height, width, 3), integers in [0, 255]; transparent images are
        composited on white.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are a WebP, or no image.
    """
    import tensorflow as tf

    head = tf.strings.substr(tf.strings.join([encoded, 12 * " "]), 0, 12)
    webp = tf.strings.regex_full_match(head, r"RIFF\C{4}WEBP")
    check = tf.debugging.Assert(~webp, ["WebP is not supported: give a PNG, JPEG, BMP or GIF"])
    with tf.control_dependencies([check]):  # an animated WebP crashes TensorFlow
        encoded = tf.identity(encoded)
    # Keep the number of channels: asked for four, TensorFlow refuses GIF, which has no alpha.
    image = tf.cond(
        tf.equal(tf.strings.substr(head, 0, 2), b"\xff\xd8"),
        lambda: decode_jpeg(encoded),
        lambda: tf.io.decode_image(encoded, expand_animations=False),
    )
    image = tf.cast(image, tf.float32)
    channels = tf.shape(image)[-1]  # 1: grey, 2: grey and alpha, 3: RGB, 4: RGBA
    alpha = tf.where(channels % 2 == 0, image[..., -1:] / 255, 1.0)
    colours = image[..., : channels - 1 + channels % 2]
    on_white = tf.round(colours * alpha + 255 * (1 - alpha))
    rgb = on_white + tf.zeros(3)  # greyscale is broadcast to three channels
    return tf.ensure_shape(upright(rgb, encoded), (None, None, 3))


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes a uint8 image of shape (height, width) or (height, width, 1, 3 or 4) as PNG."""
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def grid(images: Sequence[np.ndarray] | np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Arranges images of equal size in rows on a white background.

    Args:
        images: uint8, each of shape (height, width) or (height, width, channels).
        columns: images per row.
        gap: pixels between images.

    Returns:
        uint8 of shape (rows * (height + gap) + gap, columns * (width + gap) + gap, ...).
    """
    first = np.asarray(images[0])
    height, width = first.shape[:2]
    rows = -(-len(images) // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, *first.shape[2:])
    sheet = np.full(size, 255, np.uint8)
    for number, image in enumerate(images):
        top = gap + number // columns * (height + gap)
        left = gap + number % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet
