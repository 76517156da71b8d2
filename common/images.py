"""Pictures in and out: any file to an array, arrays to PNG and to contact sheets."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

from common.errors import UserError

# Of odd EXIF data and the like; what cannot be read is told anyway. Once for all, because several
# threads in `catch_warnings` would put back what the others had set.
warnings.filterwarnings("ignore", module=r"PIL\.")


def read_image(path: Path, mode: str = "RGB") -> np.ndarray:
    """Reads a picture of any format and size, turned upright as its EXIF data says.

    Transparent pixels are laid on white.

    Args:
        path: the file.
        mode: "RGB", or "L" for grey.

    Returns:
        uint8 of shape (height, width, 3), or (height, width) for grey, in [0, 255].

    Raises:
        UserError: there is no such file, or it holds no picture that can be decoded, or one of
            32 bits a pixel, of which nothing tells the range.
    """
    try:
        with Image.open(path) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode in ("I", "F"):  # Pillow would make them black or white
                raise UserError(f"{path} has grey values of 32 bits (mode {image.mode})",
                                "save it with 8 or 16 bits, as a PNG")
            if image.mode.startswith("I;16"):  # Pillow would clip 16-bit grey, not scale it
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return np.asarray(image.convert(mode))
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}", "check the path") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path} is not a picture that can be read ({error})", "give a whole PNG or JPEG file"
        ) from error


def decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG inside a graph, to the very numbers that `read_image` gives.

    Args:
        encoded: its bytes, a string scalar.

    Returns:
        uint8 of shape (height, width, 3) in [0, 255].
    """
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def decode_on_white(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a picture inside a graph, as `read_image` does but for EXIF and 16 bits.

    Args:
        encoded: the bytes of a PNG, JPEG, BMP or GIF (its first picture), a string scalar.

    Returns:
        float32 of shape (height, width, 3), whole numbers in [0, 255], transparent pixels laid on
        white.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are of a WebP, or of no picture.
    """
    head = tf.strings.substr(tf.strings.join([encoded, 12 * " "]), 0, 12)
    webp = tf.strings.regex_full_match(head, r"RIFF\C{4}WEBP")
    check = tf.debugging.Assert(~webp, ["a WebP is not read here: give a PNG, JPEG, BMP or GIF"])
    with tf.control_dependencies([check]):  # of an animated one TensorFlow's decoder dies
        encoded = tf.identity(encoded)
    # Its own channels: asked for four, TensorFlow refuses GIF, which has no alpha.
    picture = tf.cond(
        tf.equal(tf.strings.substr(head, 0, 2), b"\xff\xd8"),
        lambda: decode_jpeg(encoded),
        lambda: tf.io.decode_image(encoded, expand_animations=False),
    )
    picture = tf.cast(picture, tf.float32)
    channels = tf.shape(picture)[-1]  # grey, grey and alpha, colours, colours and alpha
    opacity = tf.where(channels % 2 == 0, picture[..., -1:] / 255, 1.0)
    colours = picture[..., : channels - 1 + channels % 2]
    on_white = tf.round(colours * opacity + 255 * (1 - opacity))
    return on_white + tf.zeros(3)  # grey becomes three channels


def write_png(path: Path, image: np.ndarray) -> None:
    """Writes uint8 in [0, 255], of shape (height, width) or (height, width, 1 or 3), as PNG."""
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def grid(images: Sequence[np.ndarray] | np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lays pictures of one size out in rows on white.

    Args:
        images: uint8, each of shape (height, width) or (height, width, channels).
        columns: pictures a row.
        gap: pixels between them.

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
