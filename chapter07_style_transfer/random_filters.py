"""A network of random filters at several scales: style transfer without any trained network.

Ustyuzhaninov et al. 2017 ("What does it take to generate natural textures?") find that the Gram
matrices of one layer of random filters of many sizes describe textures well. Here each size is a
scale: the image is averaged over blocks of 1 to 8 pixels first.
"""

import keras
import numpy as np
import tensorflow as tf

from chapter07_style_transfer.model import reflect
from common import features
from common.errors import UserError

NAME = "random"  # of the network in --network
SCALES = (1, 2, 4, 8)  # pixels of a block
FILTERS = 64  # at each scale
KERNEL = 7  # blocks
MIN_SIZE = 32  # pixels of a side: KERNEL // 2 blocks are added by reflection


def check_size(images: tf.Tensor) -> tf.Tensor:
    """Returns the images; raises UserError if their largest blocks are too few for a filter."""
    height, width = images.shape[1:3]
    if min(height or MIN_SIZE, width or MIN_SIZE) < MIN_SIZE:
        raise UserError(f"an image of {height} x {width} pixels is too small for --network {NAME}",
                        f"use at least {MIN_SIZE} x {MIN_SIZE}, or another network")
    return images


def open_network(seed: int = 0) -> features.Network:
    """Returns the network; its layers are scale1, scale2, scale4 and scale8, read after their ReLU.

    Each filter has mean 0 over places and colours, and unit norm: grey areas without contrast are
    invisible to it.
    """
    rng = np.random.default_rng(seed)
    images = keras.Input((None, None, 3))
    maps = []
    for scale in SCALES:
        # Blocks overlap: those side by side would leave their grid in the images.
        smooth = keras.layers.AveragePooling2D(scale, 1, "same")(images / 127.5 - 1)
        blocks = reflect(keras.layers.AveragePooling2D(scale)(smooth), KERNEL // 2)
        layer = keras.layers.Conv2D(FILTERS, KERNEL, activation="relu", use_bias=False,
                                    name=f"scale{scale}")
        maps.append(layer(blocks))
        kernels = rng.normal(size=(KERNEL, KERNEL, 3, FILTERS))
        kernels -= kernels.mean(axis=(0, 1, 2))
        layer.set_weights([kernels / np.sqrt(np.square(kernels).sum(axis=(0, 1, 2)))])
    model = keras.Model(images, maps)
    return features.from_keras(model, "random filters", post_activation=True, prepare=check_size)
