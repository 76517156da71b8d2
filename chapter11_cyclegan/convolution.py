"""A convolution layer that is as fast on one image as on many."""

from collections.abc import Callable

import keras
import tensorflow as tf


class Conv2D(keras.layers.Conv2D):
    """Keras' convolution, which computes a single image as its two halves.

    In a batch of one, TensorFlow leaves the weights in a layout for which oneDNN only has a kernel
    that is two to five times slower. CycleGAN trains on batches of one.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns what the layer of Keras returns."""
        batch, rows, columns, _ = inputs.shape
        (stride, _), size = self.strides, self.kernel_size[0]
        if batch != 1 or None in (rows, columns):
            return super().convolution_op(inputs, kernel)
        if self.padding == "same":
            padding = [[0, 0], *(same_padding(side, size, stride) for side in (rows, columns))]
            inputs = tf.pad(inputs, [*padding, [0, 0]])
        return convolve_halves(inputs, kernel, stride)


def same_padding(side: int, size: int, stride: int) -> list[int]:
    """Returns the rows of zeros that "same" adds before and after an image."""
    total = max(0, (-(-side // stride) - 1) * stride + size - side)
    return [total // 2, total - total // 2]


def convolve_halves(image: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Returns the "valid" convolution of one image, computed as a batch of its two halves.

    Args:
        image: of shape (1, height, width, channels).
        kernel: of shape (size, size, channels, filters).
        stride: of rows and columns.
    """
    @tf.custom_gradient
    def convolve(
        image: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        size, rows = kernel.shape[0], (image.shape[1] - kernel.shape[0]) // stride + 1
        # The halves share some rows; of an odd number of rows, both compute the middle one.
        half = -(-rows // 2)
        seen, start = (half - 1) * stride + size, (rows - half) * stride
        halves = tf.concat([image[:, :seen], image[:, start : start + seen]], axis=0)
        first, second = tf.split(tf.nn.conv2d(halves, kernel, stride, "VALID"), 2)
        output = tf.concat([first, second[:, 2 * half - rows :]], axis=1)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # The backward pass is as fast for the whole image.
            options = {"out_backprop": upstream, "strides": [1, stride, stride, 1],
                       "padding": "VALID"}
            return (tf.raw_ops.Conv2DBackpropInput(input_sizes=image.shape, filter=kernel,
                                                   **options),
                    tf.raw_ops.Conv2DBackpropFilter(input=image, filter_sizes=kernel.shape,
                                                    **options))

        return output, gradient

    return convolve(image, tf.convert_to_tensor(kernel))
