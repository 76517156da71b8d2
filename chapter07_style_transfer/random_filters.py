"""A network of random filters at several scales: style transfer without any trained network.

Ustyuzhaninov et al. 2017 ("What does it take to generate natural textures?") find that the Gram
matrices of one layer of random filters of many sizes describe textures well. Here each size is a
scale: the image is averaged over blocks of 1 to 8 pixels first.
"""

import keras
import numpy as np

from chapter07_style_transfer.model import reflect
from common import features

NAME = "random"  # of the network in --network
SCALES = (1, 2, 4, 8)  # pixels of a block
FILTERS = 64  # at each scale
KERNEL = 7  # blocks


def open_network(seed: int = 0) -> features.Network:
    """Returns the network; its layers are scale1, scale2, scale4 and scale8, read behind a ReLU.

    Each filter has mean 0 and unit norm: it sees no brightness, only contrast.
    """
    rng = np.random.default_rng(seed)
    images = keras.Input((None, None, 3))
    maps = []
    for scale in SCALES:
        # Blocks overlap: those side by side would leave their grid in the images.
        smooth = keras.layers.AveragePooling2D(scale, 1)(images / 127.5 - 1)
        blocks = reflect(keras.layers.AveragePooling2D(scale)(smooth), KERNEL // 2)
        layer = keras.layers.Conv2D(FILTERS, KERNEL, activation="relu", use_bias=False,
                                    name=f"scale{scale}")
        maps.append(layer(blocks))
        kernels = rng.normal(size=(KERNEL, KERNEL, 3, FILTERS))
        kernels -= kernels.mean(axis=(0, 1, 2))
        layer.set_weights([kernels / np.sqrt(np.square(kernels).sum(axis=(0, 1, 2)))])
    return features.from_keras(keras.Model(images, maps), "random filters", post_activation=True)
