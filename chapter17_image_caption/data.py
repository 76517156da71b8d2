"""Pictures and their captions: data sets, the vocabulary, the training stream.

    python data.py                                        # scenes of shapes, drawn by code
    python data.py --dataset flickr8k --data_dir FOLDER

Prints the numbers of pictures and captions, and the captions of some pictures.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID, build_vocabulary
from chapter17_image_caption import caption_files, scenes
from chapter17_image_caption.caption_files import SPLITS, join_words, tokenize
from common import cli, files, images, inputs
from common.errors import UserError, exit_status

DRAWN = {"train": 3000, "validation": 100, "test": 300}  # scenes
FILE_FLAGS = ("data_dir",)

OFFLINE = {"scenes": "scenes of coloured shapes, drawn by code, with captions of a grammar",
           "own": "one's own pictures: `captions.tsv` in `--data_dir` has a picture, a tab and a "
                  "caption per line, perhaps with a tab and train, validation or test"}
SOURCES = {
    "flickr8k": files.Source(
        "Flickr8k (Hodosh et al. 2013): 8,092 pictures with five captions each, 1.1 GB; for "
        "research. From its authors by a request form; Flickr8k.token.txt, the lists "
        "Flickr_8k.trainImages.txt, devImages and testImages, and the pictures in "
        "Flicker8k_Dataset/. Pictures that are missing are left out; their captions still train "
        "the decoder (`--pretrain_steps`)", ()),
    "coco": files.Source(
        "The book's data: COCO 2014 (Lin et al. 2014), 82,783 and 40,504 pictures with five "
        "captions each, 20 GB; CC BY 4.0 for the captions, Flickr's terms for the pictures. "
        "[train2014.zip](http://images.cocodataset.org/zips/train2014.zip), "
        "[val2014.zip](http://images.cocodataset.org/zips/val2014.zip), [annotations_trainval2014."
        "zip](http://images.cocodataset.org/annotations/annotations_trainval2014.zip)", ()),
}

Captions = list[list[str]]  # of one picture, as words


class Split(NamedTuple):
    """Pictures with their captions.

    Attributes:
        names: of the pictures.
        read: returns a picture by its number, uint8 RGB of any size.
        captions: of each picture, at least one, as words.
        paths: files of the pictures; () if they are drawn.
    """

    names: list[str]
    read: Callable[[int], np.ndarray]
    captions: list[Captions]
    paths: Sequence[Path] = ()


class Data(NamedTuple):
    """A data set.

    Attributes:
        splits: "train", "validation" and "test".
        texts: captions of training pictures that are missing.
        vocabulary: <unk>, <s>, </s>, and the words of the training captions by frequency.
        sha256: of the names of all pictures and of all captions.
    """

    splits: dict[str, Split]
    texts: list[Captions]
    vocabulary: list[str]
    sha256: str


class Words(NamedTuple):
    """A batch of captions, padded; all of shape (batch, longest).

    Attributes:
        inputs: the start symbol and the caption, int32.
        outputs: the caption and the end symbol, int32.
        mask: where `outputs` counts, bool.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    mask: np.ndarray


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the data."""
    group = parser.add_argument_group("data")
    group.add_argument("--dataset", choices=[*OFFLINE, *SOURCES], default="scenes",
                       help="scenes: drawn by code; own: a captions.tsv; flickr8k, coco")
    group.add_argument("--data_dir", type=cli.path,
                       help="folder of the data set (default: data/DATASET)")
    group.add_argument("--min_word_count", type=cli.positive_int, default=4,
                       help="words of fewer training captions become <unk>")
    group.add_argument("--vocab_size", type=cli.size, default=12000,
                       help="most entries of the vocabulary")
    group.add_argument("--max_words", type=cli.positive_int, default=30,
                       help="longer captions are cut in training")


def check_flags(args: argparse.Namespace) -> None:
    """Raises UserError if a flag of the data has no effect."""
    if args.dataset == "scenes":
        cli.refuse_idle(args, FILE_FLAGS, "--dataset scenes")


def draw() -> tuple[dict[str, Split], list[Captions]]:
    """Draws the scenes; those of validation and test have captions that training does not have."""
    known, splits = set(), {}
    for seed, name in enumerate(SPLITS):
        pictures, captions = scenes.draw_split(DRAWN[name], seed, known, name != "train")
        names = [f"scene {name} {number}" for number in range(len(pictures))]
        splits[name] = Split(names, pictures.__getitem__,
                             [[tokenize(caption) for caption in some] for some in captions])
    return splits, []


def read(dataset: str, folder: Path) -> tuple[dict[str, Split], list[Captions]]:
    """Reads the caption files of a folder."""
    def words(captions: list[list[str]]) -> list[Captions]:
        return [[tokenize(caption) for caption in some] for some in captions]

    found = caption_files.READERS[dataset](folder)
    splits = {name: Split([path.name for path in part.paths],
                          lambda number, paths=part.paths: images.read_image(paths[number]),
                          words(part.captions), part.paths) for name, part in found.items()}
    return splits, words(found["train"].texts)


def load(args: argparse.Namespace) -> Data:
    """Loads the data set that the flags name."""
    if args.dataset == "scenes":
        splits, texts = draw()
    else:
        folder = Path(args.data_dir or files.default_dir(args.dataset))
        splits, texts = read(args.dataset, folder)
    training = [words for some in [*splits["train"].captions, *texts] for words in some]
    vocabulary = build_vocabulary(training, args.min_word_count, args.vocab_size)
    if len(vocabulary) < 4:
        raise UserError(f"no word occurs {args.min_word_count} times in the training captions",
                        "lower --min_word_count")
    digest = files.sha256(*(repr((split.names, split.captions)).encode()
                            for split in splits.values()), repr(texts).encode())
    return Data(splits, texts, vocabulary, digest)


def encode(captions: Sequence[Sequence[str]], vocabulary: Sequence[str],
           max_words: int | None = None) -> list[np.ndarray]:
    """Returns the ids of captions, without start and end symbols."""
    ids = {word: i for i, word in enumerate(vocabulary)}
    return [np.array([ids.get(word, UNKNOWN_ID) for word in words[:max_words]], np.int32)
            for words in captions]


def pad(captions: Sequence[np.ndarray]) -> Words:
    """Pads ids of captions: inputs begin with the start symbol, outputs end with the end symbol."""
    longest = max(map(len, captions)) + 1
    inputs_, outputs = np.full((2, len(captions), longest), END_ID, np.int32)
    for row, ids in enumerate(captions):
        inputs_[row, 0], inputs_[row, 1 : len(ids) + 1] = START_ID, ids
        outputs[row, : len(ids)] = ids
    lengths = np.array([len(ids) + 1 for ids in captions])
    return Words(inputs_, outputs, np.arange(longest) < lengths[:, None])


def pairs(captions: Sequence[Captions]) -> tuple[np.ndarray, list[list[str]]]:
    """Returns all captions in one list, and which picture each belongs to."""
    owners = np.repeat(np.arange(len(captions)), [len(some) for some in captions])
    return owners, [words for some in captions for words in some]


def stream(count: int, batch_size: int, seed: int, step: int
           ) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the number of each batch and its indices; batch k depends on the seed and k alone."""
    batches = inputs.finish(inputs.index_batches(count, batch_size, seed, step))
    for number, indices in batches.as_numpy_iterator():
        yield int(number), indices


def augment(pictures: tf.Tensor, size: int, key: tf.Tensor) -> tf.Tensor:
    """Augments a batch as the original: random crop, flip, and distorted colours.

    Args:
        pictures: float32 of shape (batch, larger, larger, 3) in [0, 255].
        size: height and width of the crops in pixels.
        key: of the random numbers, of shape (2,).
    """
    keys = tf.unstack(tf.random.split(key, 6))
    cropped = tf.image.stateless_random_crop(pictures, (tf.shape(pictures)[0], size, size, 3),
                                             keys[0])
    image = tf.image.stateless_random_flip_left_right(cropped, keys[1]) / 255
    image = tf.image.stateless_random_brightness(image, 32 / 255, keys[2])
    image = tf.image.stateless_random_saturation(image, 0.5, 1.5, keys[3])
    image = tf.image.stateless_random_hue(image, 0.032, keys[4])
    image = tf.image.stateless_random_contrast(image, 0.5, 1.5, keys[5])
    return 255 * tf.clip_by_value(image, 0, 1)


def describe(data: Data) -> str:
    """Returns the numbers of pictures and captions as text."""
    lines = [f"{name:>10}: {len(split.names):,} pictures, "
             f"{sum(map(len, split.captions)):,} captions" for name, split in data.splits.items()]
    if data.texts:
        lines.append(f"{'texts':>10}: {sum(map(len, data.texts)):,} captions without a picture")
    return "\n".join([*lines, f"vocabulary: {len(data.vocabulary):,} words"])


def build_parser() -> cli.Parser:
    """Returns the parser."""
    parser = cli.Parser(__file__, __doc__)
    add_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Shows a data set; returns the exit status."""
    def show() -> None:
        parser = build_parser()
        args = parser.parse_args(argv)
        args.typed = cli.typed_flags(parser, argv)
        check_flags(args)
        data = load(args)
        print(describe(data))
        split = data.splits["train"]
        for name, captions in list(zip(split.names, split.captions, strict=True))[:3]:
            print("\n  ".join([name, *map(join_words, captions)]))

    return exit_status(show)


if __name__ == "__main__":
    raise SystemExit(main())
