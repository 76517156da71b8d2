"""The encoder: from pictures to feature vectors, computed once and kept, or trained along."""

import argparse
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from chapter17_image_caption.data import Split
from chapter17_image_caption.model import build_small_encoder
from common import cli, files, pretrained
from common.errors import UserError

SMALL = "small"
SMALL_SIZE = 64  # pixels
AT_ONCE = 16  # pictures that are encoded together
LARGER = 346 / 299  # by how much the original enlarges pictures before it crops them


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the encoder."""
    group = parser.add_argument_group("encoder")
    group.add_argument("--encoder", choices=[SMALL, *pretrained.NETWORKS], default=SMALL,
                       help="small: a few convolutions, always trained along; or a network of "
                            "keras.applications")
    group.add_argument("--weights", "--inception_checkpoint_file", type=pretrained.weights,
                       default="imagenet", help="of the network: imagenet, none, or a file")
    group.add_argument("--alpha", type=cli.positive_float, help="width multiplier of a MobileNet")
    group.add_argument("--image_size", type=cli.size,
                       help=f"height and width of pictures (default: that of the network, "
                            f"{SMALL_SIZE} for small)")
    group.add_argument("--encoder_width", type=cli.size, default=16,
                       help="channels of the first convolution of small")
    group.add_argument("--train_encoder", "--train_inception",
                       action=argparse.BooleanOptionalAction, default=False,
                       help="train the network's weights too")
    group.add_argument("--augment", action=argparse.BooleanOptionalAction, default=False,
                       help="random crop, flip and colours, as the original")
    group.add_argument("--cache_dir", type=cli.path,
                       help="folder of computed feature vectors (default: data/features)")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag of the encoder has no effect."""
    if args.encoder == SMALL:
        cli.refuse_idle(args, ["weights", "alpha", "train_encoder", "cache_dir"],
                        "--encoder small")
    else:
        cli.refuse_idle(args, ["encoder_width"], f"--encoder {args.encoder}")
        if is_live(args):
            cli.refuse_idle(args, ["cache_dir"], "--train_encoder or --augment")


def is_trained(args: argparse.Namespace) -> bool:
    """Returns whether the weights of the encoder are trained."""
    return args.encoder == SMALL or args.train_encoder


def is_live(args: argparse.Namespace) -> bool:
    """Returns whether each batch is encoded anew, because encoder or pictures change."""
    return is_trained(args) or args.augment


def build(args: argparse.Namespace) -> keras.Model:
    """Builds the encoder with its initial weights.

    Returns:
        A model from float32 RGB images of shape (batch, size, size, 3) in [0, 255] to feature
        vectors of shape (batch, places, channels).
    """
    if args.encoder == SMALL:
        return build_small_encoder(args.image_size or SMALL_SIZE, args.encoder_width)
    size = args.image_size or pretrained.NETWORKS[args.encoder].size
    if args.weights == "none":  # a frozen one is in no checkpoint: the same in all scripts
        keras.utils.set_random_seed(args.seed)
    try:
        maps = pretrained.build_maps(args.encoder, size, args.alpha)
    except ValueError as error:
        raise UserError(f"--encoder {args.encoder}: {error}",
                        "choose another --image_size or --alpha") from error
    pretrained.load(maps, args.weights, args.encoder, args.alpha)
    flat = keras.layers.Reshape((-1, maps.output_shape[-1]))(maps.output)
    return keras.Model(maps.inputs, flat, name="encoder")


def larger(size: int) -> int:
    """Returns the height and width of a picture of which `size` pixels are cropped."""
    return round(size * LARGER)


def fit_image(image: tf.Tensor, size: int, crop: bool = False) -> tf.Tensor:
    """Resizes an image of any size to a square; returns whole numbers, float32 in [0, 255].

    Args:
        image: of shape (height, width, 3).
        size: height and width of the result in pixels.
        crop: whether it is the middle of a larger square: a network that was trained on crops
            (`--augment`) knows things at their scale. So the original evaluates.
    """
    if crop:
        return tf.image.resize_with_crop_or_pad(fit_image(image, larger(size)), size, size)
    resized = tf.image.resize(tf.cast(image, tf.float32), (size, size), antialias=True)
    return tf.clip_by_value(tf.round(resized), 0, 255)


def encode(encoder: keras.Model, split: Split, pooled: bool, crop: bool = False
           ) -> Iterator[np.ndarray]:
    """Encodes all pictures of a split, AT_ONCE at a time.

    Args:
        encoder: of `build`.
        split: the pictures.
        pooled: whether the mean over all places is returned as a single place.
        crop: see `fit_image`.

    Yields:
        float32 of shape (pictures, places, channels).
    """
    run = tf.function(lambda images: encoder(images, training=False),
                      input_signature=[tf.TensorSpec((None, *encoder.input_shape[1:]))])
    size, count = encoder.input_shape[1], len(split.names)
    for start in tqdm(range(0, count, AT_ONCE), "encoding", leave=False, disable=None):
        pictures = [fit_image(split.read(row), size, crop)
                    for row in range(start, min(start + AT_ONCE, count))]
        maps = run(tf.stack(pictures)).numpy()
        yield maps.mean(axis=1, keepdims=True) if pooled else maps


def cached(args: argparse.Namespace, encoder: keras.Model, split: Split, sha256: str, name: str
           ) -> np.ndarray:
    """Returns the feature vectors of a split, from the file of an earlier run if there is one.

    Args:
        args: the flags.
        encoder: a frozen one.
        split: the pictures.
        sha256: of the data set.
        name: of the split.
    """
    pooled = args.model != "attend"
    weights = files.sha256(*encoder.get_weights())
    stamps = [(about.st_size, about.st_mtime_ns) for about in map(Path.stat, split.paths)]
    about = repr((weights, sha256, encoder.input_shape, name, split.names, stamps, pooled))
    folder = Path(args.cache_dir or files.default_dir("features"))
    path = folder / f"{hashlib.sha256(about.encode()).hexdigest()[:24]}.npy"
    if not path.is_file():
        print(f"encoding the {len(split.names):,} pictures of {name}, once: {path}",
              file=sys.stderr)
        folder.mkdir(parents=True, exist_ok=True)
        _, places, channels = encoder.output_shape
        shape = len(split.names), 1 if pooled else places, channels
        # Batch by batch: those of all places of many pictures do not fit into memory.
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "<f4", "fortran_order": False, "shape": shape})
                file.writelines(map(np.ndarray.tobytes, encode(encoder, split, pooled)))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    try:
        return np.load(path, mmap_mode="r")
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error})", "delete it") from error
