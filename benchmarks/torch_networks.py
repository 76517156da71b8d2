"""Networks of keras.applications in PyTorch, with the weights of the Keras models.

They are chains of layers: a VGG or a MobileNet. Sides of images must be divisible by the stride.
"""

from collections.abc import Sequence

import keras
import numpy as np
import torch
from torch import nn


def convolution(layer: keras.layers.Conv2D) -> nn.Conv2d:
    """Returns a convolution, depthwise or not, with the weights of Keras' layer."""
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    kernel, *bias = layer.get_weights()  # (height, width, in, out), or (height, width, in, 1)
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    channels = kernel.shape[0]
    stride = layer.strides[0]
    padding = layer.kernel_size[0] // 2 if layer.padding == "same" and stride == 1 else 0
    made = nn.Conv2d(channels if depthwise else kernel.shape[1], channels, layer.kernel_size,
                     stride, padding, groups=channels if depthwise else 1, bias=bool(bias))
    made.weight.data = torch.from_numpy(np.ascontiguousarray(kernel))
    if bias:
        made.bias.data = torch.from_numpy(bias[0])
    return made


def normalization(layer: keras.layers.BatchNormalization) -> nn.BatchNorm2d:
    """Returns batch normalization with the weights and statistics of Keras' layer."""
    made = nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon)
    values = [made.weight.data, made.bias.data, made.running_mean, made.running_var]
    for value, array in zip(values, layer.get_weights(), strict=True):
        value.copy_(torch.from_numpy(array))
    return made


def modules(layer: keras.Layer, last: bool) -> list[nn.Module]:
    """Returns what computes the same as a layer of Keras; the last one without its ReLU."""
    match layer:
        case keras.layers.Conv2D() | keras.layers.DepthwiseConv2D():
            same = layer.padding == "same" and layer.strides[0] == 2
            relu = layer.activation is keras.activations.relu and not last
            return [*([nn.ZeroPad2d((0, 1, 0, 1))] if same else []), convolution(layer),
                    *([nn.ReLU()] if relu else [])]
        case keras.layers.BatchNormalization():
            return [normalization(layer)]
        case keras.layers.ReLU():
            return [nn.ReLU6()]
        case keras.layers.ZeroPadding2D():
            return [nn.ZeroPad2d((0, 1, 0, 1))]
        case keras.layers.MaxPooling2D():
            return [nn.MaxPool2d(2)]
    raise TypeError(f"{layer.name} is not part of a VGG or a MobileNet")


def parts(model: keras.Model, ends: Sequence[str], before_relu: bool) -> nn.ModuleList:
    """Cuts a network behind some of its layers.

    Args:
        model: from `common.pretrained.build_maps`.
        ends: names of layers, in order.
        before_relu: whether the last one is read before its ReLU.

    Returns:
        One module per name: it maps the result of the module before it to that of the layer.
    """
    found, part = nn.ModuleList(), []
    for layer in model.layers[1:]:
        if isinstance(layer, keras.layers.Layer) and type(layer).__module__.endswith("operation"):
            continue
        part += modules(layer, last=before_relu and layer.name == ends[-1])
        if layer.name in ends:
            found.append(nn.Sequential(*part))
            part = []
        if layer.name == ends[-1]:
            break
    return found.eval().requires_grad_(False)


def prepare_vgg(images: torch.Tensor) -> torch.Tensor:
    """Returns images in [0, 255], of shape (batch, 3, height, width), as a VGG takes them."""
    return images.flip(1) - torch.tensor([103.939, 116.779, 123.68])[:, None, None]


PREPARE = {"VGG16": prepare_vgg, "MobileNet": lambda images: images / 127.5 - 1}


class Generator(nn.Module):
    """Chapter 7's default generator, with the weights of the Keras model.

    It maps photographs, float32 of shape (batch, 3, height, width) in [0, 255], whose sides are
    multiples of 4, to stylized ones.
    """

    def __init__(self, model: keras.Model):
        """Copies the weights of `build_generator`."""
        super().__init__()
        self.parts = nn.ModuleDict()
        for layer in model.layers:
            if isinstance(layer, keras.layers.Conv2D):
                self.parts[layer.name] = convolution(layer)
            elif isinstance(layer, keras.layers.GroupNormalization):
                channels = layer.gamma.shape[0]  # new: scale 1 and centre 0
                self.parts[layer.name] = nn.InstanceNorm2d(channels, layer.epsilon, affine=True)

    def convolve(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Applies a convolution behind a reflection of half a kernel."""
        layer = self.parts[name]
        side = layer.kernel_size[0] // 2
        return layer(nn.functional.pad(x, (side, side, side, side), "reflect"))

    def block(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Applies a convolution and its normalization."""
        return self.parts[f"{name}_norm"](self.convolve(x, name))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Stylizes photographs."""
        x = images / 127.5 - 1
        for name in ("conv1", "conv2", "conv3"):
            x = self.block(x, name).relu()
        for number in range(1, 6):
            y = self.block(x, f"res{number}_1").relu()
            x = x + self.block(y, f"res{number}_2")
        for name in ("up1", "up2"):
            x = self.block(nn.functional.interpolate(x, scale_factor=2), name).relu()
        return 127.5 + 64 * self.convolve(x, "out")
