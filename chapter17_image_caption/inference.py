"""Finished runs: loads the network, sees pictures, writes captions, and computes perplexities."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from chapter16_nmt import beam_search
from chapter16_nmt.corpus import END_ID, START_ID, UNKNOWN_ID
from chapter17_image_caption import attributes, data, encoder
from chapter17_image_caption.data import Split
from chapter17_image_caption.flags import build_captioner
from chapter17_image_caption.model import Captioner, caption_loss
from chapter17_image_caption.transformer import Transformer
from common import checkpoint, cli, files

VOCABULARY = "vocabulary.json"
EVAL_BATCH = 32  # captions or pictures
BLOCKED = -1e9  # logit of a word that must not come


class Detector(tf.Module):
    """The linear model of attributes, kept in checkpoints and exports."""

    def __init__(self, linear: attributes.Linear):
        """Stores kernel and bias."""
        super().__init__()
        self.kernel, self.bias = (tf.Variable(part, trainable=False) for part in linear)

    def __call__(self, features: tf.Tensor) -> tf.Tensor:
        """Returns attributes (batch, 1, attributes) of features (batch, places, channels)."""
        return (tf.matmul(tf.reduce_mean(features, axis=1), self.kernel) + self.bias)[:, None]


class Run(NamedTuple):
    """A trained network.

    Attributes:
        captioner: the decoder.
        encoder: from pictures to feature vectors.
        detector: of attributes, or None.
        vocabulary: its words.
        words: the attributes.
        flags: that the run was trained with.
    """

    captioner: Captioner | Transformer
    encoder: keras.Model
    detector: Detector | None
    vocabulary: list[str]
    words: list[str]
    flags: argparse.Namespace

    @property
    def size(self) -> int:
        """Height and width of the pictures in pixels."""
        return self.encoder.input_shape[1]

    def fit_image(self, image: tf.Tensor) -> tf.Tensor:
        """Returns an image of any size as the encoder sees it, float32 in [0, 255]."""
        return encoder.fit_image(image, self.size, crop=self.flags.augment)


class Caption(NamedTuple):
    """A caption of a picture.

    Attributes:
        words: without start and end symbols.
        probability: of the whole caption, with its end.
        score: log-probability, divided by the length to the power `length_normalization`.
        attention: of each word and the end, of shape (words + 1, places); (…, 1) without.
    """

    words: list[str]
    probability: float
    score: float
    attention: np.ndarray


class Decoding(NamedTuple):
    """How captions are searched.

    Attributes:
        beam_size: captions that are followed at once, and returned.
        max_caption_length: most words with start and end symbols.
        length_normalization: scores are log p divided by the length to this power.
        block_repeats: a word may not come again within so many words.
    """

    beam_size: int = 3
    max_caption_length: int = 20
    length_normalization: float = 0.0
    block_repeats: int = 0


def add_decoding_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of the search; defaults are those of the original."""
    group = parser.add_argument_group("decoding")
    group.add_argument("--beam_size", type=cli.small_int, default=3,
                       help="captions that are followed at once")
    group.add_argument("--max_caption_length", type=cli.number(int, 2, 1000, "a whole number from "
                                                               "2 to 1000"), default=20,
                       help="most words, with start and end symbols")
    group.add_argument("--length_normalization_factor", type=cli.non_negative_float, default=0.0,
                       help="scores are log p divided by the length to this power")
    group.add_argument("--block_repeats", type=cli.non_negative_int, default=0, metavar="N",
                       help="a word may not come again within the next N words")


def decoding(args: argparse.Namespace) -> Decoding:
    """Returns the search that the flags name."""
    return Decoding(args.beam_size, args.max_caption_length, args.length_normalization_factor,
                    args.block_repeats)


def save_words(run_dir: Path, vocabulary: Sequence[str], words: Sequence[str], channels: int
               ) -> None:
    """Writes what a run needs besides its weights."""
    files.write_json(run_dir / VOCABULARY, {"vocabulary": list(vocabulary), "attributes":
                                            list(words), "channels": channels})


def models_of(captioner: Captioner | Transformer, network: keras.Model, detector: Detector | None,
              flags: argparse.Namespace) -> dict[str, Any]:
    """Returns what a checkpoint holds: the encoder only if it is trained."""
    models: dict[str, Any] = {"captioner": captioner}
    if encoder.is_trained(flags):
        models["encoder"] = network
    if detector:
        models["detector"] = detector
    return models


def load_run(args: argparse.Namespace, flags: argparse.Namespace) -> Run:
    """Rebuilds the network of a run and loads its trained weights.

    Args:
        args: arguments of the calling script, with `run_dir` and `checkpoint`.
        flags: the flags that the run was trained with.
    """
    known = files.read_json(args.run_dir / VOCABULARY)
    network, words, detector = encoder.build(flags), known["attributes"], None
    if flags.model == "attributes":
        shape = known["channels"], len(words)
        detector = Detector(attributes.Linear(np.zeros(shape, np.float32),
                                              np.zeros(shape[1], np.float32)))
    captioner = build_captioner(flags, len(known["vocabulary"]),
                                len(words) if detector else known["channels"])
    checkpoint.load(args.run_dir, args.checkpoint,
                    **models_of(captioner, network, detector, flags))
    return Run(captioner, network, detector, known["vocabulary"], words, flags)


def see(run: Run, images: tf.Tensor) -> tf.Tensor:
    """Returns what the decoder sees of images, float32 (batch, size, size, 3) in [0, 255]."""
    maps = run.encoder(images, training=False)
    return run.detector(maps) if run.detector else maps


def see_split(run: Run, split: Split, sha256: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the decoder sees of a split's pictures, and their mean feature vectors."""
    if encoder.is_live(run.flags):
        rows = np.concatenate([*encoder.encode(
            run.encoder, split, run.flags.model != "attend", crop=run.flags.augment)])
    else:
        rows = np.asarray(encoder.cached(run.flags, run.encoder, split, sha256, name))
    sees = run.detector(tf.constant(rows)).numpy() if run.detector else rows
    return sees, rows.mean(axis=1)


def search(captioner: Captioner | Transformer, features: tf.Tensor, width: int | tf.Tensor,
           how: Decoding) -> beam_search.Sequences:
    """Searches the most probable captions, in a graph.

    Args:
        captioner: the decoder.
        features: of shape (batch, places, channels).
        width: captions that are followed at once.
        how: see `Decoding`; its beam_size is not used.
    """
    batch = tf.shape(features)[0]
    state, seen = captioner.begin(features, training=False)
    recent = tf.fill((batch, how.block_repeats), -1)

    def step(tokens: tf.Tensor, state: dict[str, Any]) -> tuple[tf.Tensor, Any, tf.Tensor]:
        logits, decoder, weights = captioner.next_word(tokens, state["decoder"], state["seen"])
        logits += BLOCKED * tf.one_hot(UNKNOWN_ID, tf.shape(logits)[1])  # "<unk>" is no word
        recent = state["recent"]
        if how.block_repeats:
            recent = tf.concat([recent[:, 1:], tokens[:, None]], axis=1)
            said = tf.reduce_max(tf.one_hot(recent, tf.shape(logits)[1]), axis=1)
            logits = tf.where(said > 0, BLOCKED, logits)
        return logits, {"decoder": decoder, "seen": state["seen"], "recent": recent}, weights

    # The original counts the start symbol, in the length limit and in the normalization.
    return beam_search.search(
        step, {"decoder": state, "seen": seen, "recent": recent}, batch,
        tf.fill((batch,), how.max_caption_length - 1), width, START_ID, END_ID,
        lambda lengths: (lengths + 1) ** how.length_normalization)


class Describe:
    """Writes captions of pictures; each graph is traced once."""

    def __init__(self, run: Run, how: Decoding):
        """Keeps the network and traces nothing yet."""
        self.run, self.how = run, how
        self._see = tf.function(lambda images: see(run, images), autograph=False,
                                reduce_retracing=True)
        self._search = tf.function(
            lambda features: search(run.captioner, features, how.beam_size, how), autograph=False,
            input_signature=[tf.TensorSpec((None, None, run.captioner.sizes.channels))])

    def pictures(self, pictures: Sequence[np.ndarray]) -> list[list[Caption]]:
        """Returns captions of uint8 images of any size, the best first."""
        images = tf.stack([self.run.fit_image(picture) for picture in pictures])
        return self.features(self._see(images).numpy())

    def features(self, features: np.ndarray) -> list[list[Caption]]:
        """Returns captions of what the decoder sees, the best first."""
        found = []
        for start in range(0, len(features), EVAL_BATCH):
            part = [array.numpy() for array in
                    self._search(tf.constant(features[start : start + EVAL_BATCH]))]
            found += [self._read(*row) for row in zip(*part, strict=True)]
        return found

    def _read(self, tokens: np.ndarray, lengths: np.ndarray, log_probs: np.ndarray,
              scores: np.ndarray, kept: np.ndarray) -> list[Caption]:
        """Returns the captions of one picture, from a row of `beam_search.Sequences`."""
        captions = []
        for place in np.flatnonzero(scores > beam_search.NEVER / 2):
            ids = tokens[place, : lengths[place]]
            captions.append(Caption(
                [self.run.vocabulary[i] for i in ids if i != END_ID],
                float(np.exp(log_probs[place])), float(scores[place]), kept[place, : len(ids)]))
        return captions


def make_score(captioner: Captioner | Transformer) -> Callable[..., float]:
    """Returns a function from what is seen and the ids of captions to their perplexity per word.

    Its arguments are feature vectors (pictures, places, channels), the picture of each caption,
    and the ids of the captions.
    """
    @tf.function(reduce_retracing=True)
    def mean_nats(features, inputs, outputs, mask):
        found, _ = captioner(features, inputs, training=False)
        return caption_loss(captioner.classifier(tf.boolean_mask(found, mask)),
                            tf.boolean_mask(outputs, mask))

    def score(features: np.ndarray, owners: np.ndarray, captions: Sequence[np.ndarray]) -> float:
        nats, count = 0.0, 0
        order = np.argsort([len(ids) for ids in captions], kind="stable")
        for start in range(0, len(order), EVAL_BATCH):
            rows = order[start : start + EVAL_BATCH]
            words = data.pad([captions[i] for i in rows])
            number = int(words.mask.sum())
            nats += number * float(mean_nats(tf.constant(features[owners[rows]]), *words))
            count += number
        return float(np.exp(min(nats / count, 700.0)))

    return score
