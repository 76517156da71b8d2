"""The three networks of MTCNN, and their published weights (Zhang et al. 2016; book, section 6.1).

P-Net looks at every place of an image at once, R-Net and O-Net at crops of 24 and 48 pixels. All
take float32 RGB images in [-1, 1] and return the logits (no face, face) and four numbers
(ymin, xmin, ymax, xmax): how far each side of the window is from that of the face, in widths and
heights of the window. O-Net also returns ten numbers: the y coordinates of five landmarks in
fractions of the window, then the x coordinates. P-Net's outputs are maps, a cell for every second
pixel.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from common import files
from common.errors import UserError

CELL, STRIDE = 12, 2  # pixels of a window of P-Net, and between two windows
SIZES = {"pnet": 12, "rnet": 24, "onet": 48}  # height and width of the windows in training
ADDRESS = "https://raw.githubusercontent.com/davidsandberg/facenet/master/src/align"
PUBLISHED = {  # file of each network and its sha256
    "pnet": files.File("det1.npy",
                       "3285cf7a3de2651c5784cb9e32013f5919aae95fd1ed1bc371dd9691affb39af",
                       (f"{ADDRESS}/det1.npy",)),
    "rnet": files.File("det2.npy",
                       "716b8b83e42476791c9096f14dbb09fefc88bf5c7ec876b1683f9acd52b3f39c",
                       (f"{ADDRESS}/det2.npy",)),
    "onet": files.File("det3.npy",
                       "396ead803d85d3443307ff8f45fb6aed2536579b415a4f4d4cb8f93ea6b1476a",
                       (f"{ADDRESS}/det3.npy",)),
}
# Columns of the published outputs, which have x before y, in the order of ours.
SIDES = [1, 0, 3, 2]
LANDMARKS = [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]


def conv(filters: int, size: int, name: str) -> Callable[[keras.KerasTensor], keras.KerasTensor]:
    """Returns a convolution without padding, with PReLU: one slope per channel."""
    layer = keras.layers.Conv2D(filters, size, name=name)
    prelu = keras.layers.PReLU(
        alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1, 2],
        name=f"{name}_prelu")
    return lambda x: prelu(layer(x))


def pool(size: int, padding: str) -> keras.Layer:
    """Returns max pooling with stride 2."""
    return keras.layers.MaxPooling2D(size, 2, padding)


def build_pnet() -> keras.Model:
    """Builds P-Net: 6,632 parameters, fully convolutional, for images of at least 12 × 12."""
    images = keras.Input((None, None, 3))
    x = pool(2, "same")(conv(10, 3, "conv1")(images))
    x = conv(32, 3, "conv3")(conv(16, 3, "conv2")(x))
    outputs = [keras.layers.Conv2D(2, 1, name="faces")(x),
               keras.layers.Conv2D(4, 1, name="sides")(x)]
    return keras.Model(images, outputs, name="pnet")


def dense(x: keras.KerasTensor, units: int) -> keras.KerasTensor:
    """Applies a dense layer with PReLU to flattened feature maps."""
    x = keras.layers.Dense(units, name="dense")(keras.layers.Flatten()(x))
    return keras.layers.PReLU(keras.initializers.Constant(0.25), name="dense_prelu")(x)


def build_rnet() -> keras.Model:
    """Builds R-Net: 100,178 parameters, for images of 24 × 24."""
    images = keras.Input((24, 24, 3))
    x = pool(3, "same")(conv(28, 3, "conv1")(images))
    x = pool(3, "valid")(conv(48, 3, "conv2")(x))
    x = dense(conv(64, 2, "conv3")(x), 128)
    outputs = [keras.layers.Dense(2, name="faces")(x), keras.layers.Dense(4, name="sides")(x)]
    return keras.Model(images, outputs, name="rnet")


def build_onet() -> keras.Model:
    """Builds O-Net: 389,040 parameters, for images of 48 × 48."""
    images = keras.Input((48, 48, 3))
    x = pool(3, "same")(conv(32, 3, "conv1")(images))
    x = pool(3, "valid")(conv(64, 3, "conv2")(x))
    x = pool(2, "same")(conv(64, 3, "conv3")(x))
    x = dense(conv(128, 2, "conv4")(x), 256)
    outputs = [keras.layers.Dense(2, name="faces")(x), keras.layers.Dense(4, name="sides")(x),
               keras.layers.Dense(10, name="landmarks")(x)]
    return keras.Model(images, outputs, name="onet")


def build() -> dict[str, keras.Model]:
    """Builds the three networks by name, with random weights."""
    return {"pnet": build_pnet(), "rnet": build_rnet(), "onet": build_onet()}


def read_published(path: Path, sha256: str) -> dict[str, dict[str, np.ndarray]]:
    """Reads one of det1.npy, det2.npy and det3.npy, in which a dict of arrays is pickled.

    Unpickling runs whatever code a file holds: a file with another sha256 is not opened.

    Raises:
        UserError: the file is missing or has another sha256.
    """
    hint = f"get it from {ADDRESS}/{path.name}"
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint) from error
    if found != sha256:
        raise UserError(f"{path} is not the published file: its sha256 is {found[:12]}…, not "
                        f"{sha256[:12]}…; it is not opened", hint)
    return np.load(path, allow_pickle=True, encoding="latin1").item()


def convert(name: str, values: dict[str, dict[str, np.ndarray]]) -> list[np.ndarray]:
    """Returns published values as the weights of our network, in its order.

    They come from Caffe and are for images with height and width exchanged. So are the kernels, and
    the order of the flattened feature maps.

    Args:
        name: of the network.
        values: from `read_published`.
    """
    last = {"pnet": 4, "rnet": 5, "onet": 6}[name]
    outputs = [f"conv{last}-{number}" for number in (1, 2, 3) if f"conv{last}-{number}" in values]
    layers = [f"conv{number}" for number in range(1, last)]
    slopes = {key.lower(): value["alpha"] for key, value in values.items() if "alpha" in value}
    weights = []
    for number, layer in enumerate(layers, 1):
        kernel = values[layer]["weights"]
        if kernel.ndim == 2:  # flattened (width, height, channels)
            channels = len(values[layers[number - 2]]["biases"])
            side = round((len(kernel) / channels) ** 0.5)
            cells = kernel.reshape(side, side, channels, -1)
            kernel = cells.transpose(1, 0, 2, 3).reshape(kernel.shape)
        else:
            kernel = kernel.transpose(1, 0, 2, 3)
        alpha = slopes[f"prelu{number}"]
        weights += [kernel, values[layer]["biases"],
                    alpha.reshape(1, 1, -1) if kernel.ndim == 4 else alpha]
    for layer in outputs:
        kernel, bias = values[layer]["weights"], values[layer]["biases"]
        order = {2: [0, 1], 4: SIDES, 10: LANDMARKS}[len(bias)]
        weights += [kernel[..., order], bias[order]]
    return weights


def load_published(networks: dict[str, keras.Model], folder: Path) -> None:
    """Loads the published weights from det1.npy, det2.npy and det3.npy in a folder.

    Raises:
        UserError: a file is missing, or is not the published one.
    """
    for name, network in networks.items():
        file = PUBLISHED[name]
        network.set_weights(convert(name, read_published(folder / file.name, file.sha256)))


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Returns images in [0, 255] in the range of the networks, float32 in [-1, 1]."""
    return (tf.cast(images, tf.float32) - 127.5) / 128
