"""A convolution layer that is as fast on one image as on many."""

from collections.abc import Callable

import keras
import tensorflow as tf


class SplitConv2D(keras.layers.Conv2D):
    """Keras' convolution, which computes a single image as its two halves.

    In a batch of one, TensorFlow leaves the weights in a layout for which oneDNN only has a slow
    kernel, which multiplies matrices of copied pixels (im2col). In trials on an AVX2 CPU it took
    1.4 to 5 times as long per image as the kernel for larger batches. On a GPU, in batches, for
    unknown sides with "same" and a stride, dilated or grouped, this is the layer of Keras.
    """

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Returns what the layer of Keras returns."""
        batch, *sides, _ = inputs.shape
        unknown = None in sides and self.padding == "same" and max(self.strides) > 1
        other = (*self.dilation_rate, self.groups) != (1, 1, 1)
        if batch != 1 or unknown or other or tf.config.list_logical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        if self.padding == "same":  # of stride 1, it does not depend on the side
            padding = [same_padding(side or 1, size, stride) for side, size, stride in
                       zip(sides, self.kernel_size, self.strides, strict=True)]
            inputs = tf.pad(inputs, [[0, 0], *padding, [0, 0]])
        return convolve_halves(inputs, kernel, self.strides)


def same_padding(side: int, size: int, stride: int) -> list[int]:
    """Returns how many zeros "same" adds before and after a side of an image."""
    total = max(0, (-(-side // stride) - 1) * stride + size - side)
    return [total // 2, total - total // 2]


def convolve_halves(image: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int]) -> tf.Tensor:
    """Returns the "valid" convolution of one image, computed as a batch of its two halves.

    Args:
        image: of shape (1, height, width, channels).
        kernel: of shape (rows, columns, channels, filters).
        strides: of rows and columns.
    """
    @tf.custom_gradient
    def convolve(
        image: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
        height, size, stride = image.shape[1] or tf.shape(image)[1], kernel.shape[0], strides[0]
        rows = (height - size) // stride + 1
        # The halves share some rows; of an odd number of rows, both compute the middle one.
        half = -(-rows // 2)
        seen, start = (half - 1) * stride + size, (rows - half) * stride
        halves = tf.concat([image[:, :seen], image[:, start : start + seen]], axis=0)
        first, second = tf.split(tf.nn.conv2d(halves, kernel, strides, "VALID"), 2)
        output = tf.concat([first, second[:, 2 * half - rows :]], axis=1)

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # The backward pass is as fast for the whole image.
            options = {"out_backprop": upstream, "strides": [1, *strides, 1], "padding": "VALID"}
            return (
                tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(image), filter=kernel,
                                               **options),
                tf.raw_ops.Conv2DBackpropFilter(input=image, filter_sizes=kernel.shape, **options))

        return output, gradient

    return convolve(image, tf.convert_to_tensor(kernel))
