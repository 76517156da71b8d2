"""What judges translated images without pairs: a network of photographs, and a classifier.

Features are the last feature maps of a MobileNet, averaged over all places. They measure the kernel
distance (KID) to the target domain. A logistic regression learns to tell the two domains apart by
them: for what does it take the translations?
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common import features
from common.errors import UserError

NETWORK, ALPHA = "MobileNet", 0.75
ENLARGED = 128  # pixels to which smaller images are enlarged for it
BATCH = 16
LEAST = 8  # images of a set whose halves have a kernel distance

Judge = Callable[[np.ndarray], np.ndarray]  # from uint8 images to features, (images, dimensions)


def open_judge(weights: str) -> Judge:
    """Opens the network.

    Args:
        weights: a file; see `features.open_application`.
    """
    network = features.open_application(NETWORK, weights, ALPHA, post_activation=True)
    pooled = features.make_pooled(network, ENLARGED)
    return lambda images: np.concatenate([
        pooled(tf.constant(images[i : i + BATCH], tf.float32)).numpy()
        for i in range(0, len(images), BATCH)])


def fit_classifier(x: np.ndarray, y: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Fits a classifier to features of both domains.

    Returns:
        A function from features to whether it takes each image for one of Y.
    """
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    classifier.fit(np.concatenate([x, y]), np.repeat([False, True], [len(x), len(y)]))
    return classifier.predict


def check_enough(count: int) -> None:
    """Raises UserError if there are too few images of a domain for a kernel distance."""
    if count < LEAST:
        raise UserError(f"{count} images are too few for --judge",
                        f"omit it, or give at least {LEAST} of each domain")
