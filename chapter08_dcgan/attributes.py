"""A classifier of the attributes of drawn faces: what does a generated face have?"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from chapter08_dcgan.data import Data, Split

ATTRIBUTES = ("smile", "glasses", "long_hair")  # bit k of a label is attribute k
EPOCHS, BATCH = 15, 64


class Classifier(NamedTuple):
    """A classifier of attributes.

    Attributes:
        predict: from uint8 images to whether each has an attribute, bool of shape (count, 3).
        accuracy: the share of test images on which it is right, by attribute.
    """

    predict: Callable[[np.ndarray], np.ndarray]
    accuracy: dict[str, float]


def bits(labels: np.ndarray) -> np.ndarray:
    """Returns which attributes the labels mean, bool of shape (count, 3)."""
    return labels[:, None] >> np.arange(len(ATTRIBUTES)) & 1 == 1


def build_classifier(shape: tuple[int, ...]) -> keras.Sequential:
    """Builds four convolutions of stride 2 with batch normalization, and a logit per attribute."""
    blocks: list[keras.Layer] = []
    for filters in (16, 32, 64, 64):
        blocks += [keras.layers.Conv2D(filters, 3, 2, "same", use_bias=False),
                   keras.layers.BatchNormalization(momentum=0.9), keras.layers.ReLU()]
    return keras.Sequential([
        keras.Input(shape), keras.layers.Rescaling(1 / 127.5, -1), *blocks,
        keras.layers.Flatten(), keras.layers.Dense(len(ATTRIBUTES))])


def learn(found: Data, epochs: int = EPOCHS) -> Classifier:
    """Trains the classifier on the labelled faces of a run; mirrored faces are added."""
    keras.utils.set_random_seed(0)
    model = build_classifier(found.train.images.shape[1:])
    train = Split(np.concatenate([found.train.images, found.train.images[:, :, ::-1]]),
                  np.tile(found.train.labels, 2))
    schedule = keras.optimizers.schedules.CosineDecay(
        2e-3, epochs * -(-len(train.labels) // BATCH))
    model.compile(keras.optimizers.Adam(schedule),
                  keras.losses.BinaryCrossentropy(from_logits=True))
    model.fit(train.images.astype(np.float32), bits(train.labels).astype(np.float32),
              batch_size=BATCH, epochs=epochs, verbose=0)

    def predict(images: np.ndarray) -> np.ndarray:
        return model.predict(images.astype(np.float32), BATCH, verbose=0) > 0

    right = (predict(found.test.images) == bits(found.test.labels)).mean(axis=0)
    return Classifier(predict, dict(zip(ATTRIBUTES, right.tolist(), strict=True)))
