"""What the decoder is trained on: feature vectors or pictures, and captions, batch by batch."""

import argparse
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter17_image_caption import attributes, data, encoder
from chapter17_image_caption.data import Data, Words
from common import inputs


class Sight(NamedTuple):
    """What the decoder sees of each training picture.

    Attributes:
        rows: of each picture, feature vectors of shape (pictures, places, channels); None if the
            pictures themselves are encoded in each update.
        channels: of a feature vector, or attributes.
        detector: from mean feature vectors to attributes, or None.
        errors: of the detector, or None.
        words: the attributes.
    """

    rows: np.ndarray | None
    channels: int
    detector: attributes.Linear | None = None
    errors: attributes.Errors | None = None
    words: tuple[str, ...] = ()


class Batch(NamedTuple):
    """A batch for the train step.

    Attributes:
        sees: feature vectors of shape (batch, places, channels), or pictures, uint8.
        key: of random numbers of the augmentation.
        words: the captions.
        pretraining: whether there are no pictures.
    """

    sees: np.ndarray
    key: np.ndarray
    words: Words
    pretraining: bool


def look(args: argparse.Namespace, network: keras.Model, found: Data) -> Sight:
    """Returns what the decoder sees of the training pictures; fits the detector of attributes."""
    if encoder.is_live(args):
        return Sight(None, network.output_shape[-1])
    split = found.splits["train"]
    rows = encoder.cached(args, network, split, found.sha256, "train")
    if args.model != "attributes":
        return Sight(rows, rows.shape[-1])
    words = attributes.choose_words(split.captions, found.vocabulary, args.num_attributes)
    targets = standardize(attributes.shares(split.captions, words), found, words)
    fitted = attributes.fit_detector(np.float64(rows[:, 0]), targets)
    detector, predicted, errors = fitted
    return Sight(predicted[:, None], len(words), detector, errors, tuple(words))


def standardize(shares: np.ndarray, found: Data, words: list[str] | tuple[str, ...]) -> np.ndarray:
    """Scales shares of words to mean 0 and variance 1 over all training captions."""
    known = attributes.shares([*found.splits["train"].captions, *found.texts], words)
    return np.float32((shares - known.mean(axis=0)) / np.maximum(known.std(axis=0), 1e-3))


class Batches:
    """Batch k of a run, a pure function of (seed, k)."""

    def __init__(self, args: argparse.Namespace, found: Data, sight: Sight, size: int):
        """Encodes all captions; `size` is that of what the encoder sees in pixels."""
        self.args, self.sight = args, sight
        size = encoder.larger(size) if args.augment else size
        split = found.splits["train"]
        self.owners, words = data.pairs(split.captions)
        self.captions = data.encode(words, found.vocabulary, args.max_words)
        self.read = inputs.keep_in_memory(
            lambda number: (np.array(number),
                            np.uint8(encoder.fit_image(split.read(number), size))),
            len(split.names))
        everything = [*split.captions, *found.texts]
        self.text_owners, texts = data.pairs(everything)
        self.texts = data.encode(texts, found.vocabulary, args.max_words)
        self.others = None
        if sight.errors and args.pretrain_steps:
            self.others = standardize(others(everything, sight.words), found, sight.words)

    def __len__(self) -> int:
        """Returns the number of captions of pictures."""
        return len(self.captions)

    def start_at(self, step: int) -> Iterator[Batch]:
        """Yields the batches after the given number of updates."""
        args, before = self.args, self.args.pretrain_steps
        if step < before:
            for number, chosen in data.stream(len(self.texts), args.batch_size, args.seed, step):
                if number >= before:
                    break
                words = data.pad([self.texts[i] for i in chosen])
                yield Batch(self._without_pictures(chosen, number), np.zeros(2, np.int32), words,
                            True)
        first = max(0, step - before)
        for number, chosen in data.stream(len(self), args.batch_size, args.seed, first):
            if self.sight.rows is None:
                sees, chosen = self._pictures(chosen)
            else:
                sees = np.asarray(self.sight.rows[self.owners[chosen]])
            key = np.array([args.seed % 2**31, number], np.int32)
            yield Batch(sees, key, data.pad([self.captions[i] for i in chosen]), False)

    def _pictures(self, chosen: np.ndarray) -> tuple[np.ndarray, list[int]]:
        """Returns the pictures of captions, and the captions.

        A picture that cannot be read is replaced by the next one, with the first caption of that.
        """
        found = [self.read(int(owner)) for owner in self.owners[chosen]]
        captions = [int(i if self.owners[i] == number else np.searchsorted(self.owners, number))
                    for i, (number, _) in zip(chosen, found, strict=True)]
        return np.stack([picture for _, picture in found]), captions

    def _without_pictures(self, chosen: np.ndarray, number: int) -> np.ndarray:
        """Returns what the decoder sees beside captions without a picture.

        With attributes, it is what their detector might have predicted from the other captions of
        the same picture. Otherwise it is nothing, zeros: the decoder learns a language model.
        """
        if self.others is None:
            return np.zeros((len(chosen), 1, self.sight.channels), np.float32)
        rng = np.random.default_rng((self.args.seed, number))
        return self.sight.errors.draw(self.others[chosen], rng)[:, None]


def others(captions: list[data.Captions], words: tuple[str, ...]) -> np.ndarray:
    """Returns, for each caption, the share of the other captions of its picture with each word.

    A picture with a single caption has no others: it is that caption itself.
    """
    rows = []
    for some in captions:
        each = attributes.shares([[caption] for caption in some], words)
        count = len(some)
        rows.append(each if count == 1 else (each.sum(axis=0) - each) / (count - 1))
    return np.concatenate(rows)


def live_encoder(args: argparse.Namespace, network: keras.Model) -> Any:
    """Returns a function from a batch of pictures and a key to feature vectors.

    Batch normalization of a pretrained network stays in inference mode, also if it is trained.
    """
    training = args.encoder == encoder.SMALL

    def encode(pictures: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        pictures = tf.cast(pictures, tf.float32)
        if args.augment:
            pictures = data.augment(pictures, network.input_shape[1], key)
        return network(pictures, training=training)

    return encode
