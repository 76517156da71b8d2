"""The networks of chapters 8 and 9 in PyTorch, with the weights of the Keras models."""

import keras
import numpy as np
import torch
from torch import nn

from benchmarks.torch_networks import convolution


class Permute(nn.Module):
    """Exchanges axes: the dense layers have weights for channels last."""

    def __init__(self, *axes: int):
        """Remembers the new order."""
        super().__init__()
        self.axes = axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Exchanges the axes."""
        return x.permute(self.axes)


class Deconvolution(nn.ConvTranspose2d):
    """A transposed convolution of stride 2 that doubles the sides exactly, as in Keras."""

    def __init__(self, layer: keras.layers.Conv2DTranspose):
        """Copies the weights of a layer."""
        kernel, *bias = layer.get_weights()  # (height, width, out, in)
        padding = (layer.kernel_size[0] - 2) // 2
        super().__init__(kernel.shape[3], kernel.shape[2], layer.kernel_size, 2, padding,
                         bias=bool(bias))
        self.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        if bias:
            self.bias.data = torch.from_numpy(bias[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Crops what an odd kernel leaves beyond doubled sides."""
        return super().forward(x)[:, :, : 2 * x.shape[2], : 2 * x.shape[3]]


def padded(layer: keras.layers.Conv2D) -> nn.Module:
    """Returns a convolution of any stride; "same" appends the odd pixel at the end."""
    rest = layer.kernel_size[0] - layer.strides[0]
    if layer.padding == "valid" or (layer.strides[0] == 1 and rest % 2 == 0):
        return convolution(layer)
    before, after = rest // 2, rest - rest // 2
    made = convolution(layer)
    made.padding = (0, 0)
    return nn.Sequential(nn.ZeroPad2d((before, after, before, after)), made)


def dense(layer: keras.layers.Dense) -> nn.Linear:
    """Returns a dense layer."""
    kernel, bias = layer.get_weights()
    made = nn.Linear(*kernel.shape)
    made.weight.data, made.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias)
    return made


def instance_norm(layer: keras.layers.GroupNormalization) -> nn.InstanceNorm2d:
    """Returns instance normalization with scale and offset."""
    gamma, beta = layer.get_weights()
    made = nn.InstanceNorm2d(len(gamma), layer.epsilon, affine=True)
    made.weight.data, made.bias.data = torch.from_numpy(gamma), torch.from_numpy(beta)
    return made


def weightless(layer: keras.Layer) -> list[nn.Module]:
    """Returns what computes the same as a layer without weights."""
    match layer:
        case keras.layers.Reshape():
            return [nn.Unflatten(1, layer.target_shape), Permute(0, 3, 1, 2)]
        case keras.layers.Flatten():
            return [nn.LeakyReLU(0.2), Permute(0, 2, 3, 1), nn.Flatten()]
        case keras.layers.UpSampling2D():
            return [nn.UpsamplingNearest2d(scale_factor=2)]
        case keras.layers.ReLU():
            return [nn.ReLU()]
        case keras.layers.Activation():
            return [nn.Tanh()]
    return []  # inputs, and the operations of the leaky ReLU


def chain(model: keras.Model) -> nn.Sequential:
    """Translates a network of chapter 8 without labels, or a discriminator of chapter 9.

    The leaky ReLU, which Keras shows as operations, comes before all convolutions of a
    discriminator but the first, and before its dense layer.
    """
    found: list[nn.Module] = []
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2DTranspose():
                found.append(Deconvolution(layer))
            case keras.layers.Conv2D():
                if model.name == "discriminator" and layer is not convolutions[0]:
                    found.append(nn.LeakyReLU(0.2))
                found.append(padded(layer))
            case keras.layers.Dense():
                found.append(dense(layer))
            case keras.layers.BatchNormalization():  # new: scale 1 and offset 0
                found.append(nn.BatchNorm2d(layer.gamma.shape[0], layer.epsilon))
            case keras.layers.GroupNormalization():
                found.append(instance_norm(layer))
            case _:
                found += weightless(layer)
    return nn.Sequential(*found)


def named_parts(model: keras.Model) -> nn.ModuleDict:
    """Returns the convolutions and instance normalizations of a network by their names."""
    parts = nn.ModuleDict()
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2DTranspose():
                parts[layer.name] = Deconvolution(layer)
            case keras.layers.Conv2D():
                parts[layer.name] = padded(layer)
            case keras.layers.GroupNormalization():
                parts[layer.name] = instance_norm(layer)
    return parts


class UNet(nn.Module):
    """A U-Net of chapter 9 with instance normalization, without dropout."""

    def __init__(self, model: keras.Model):
        """Copies the weights of `build_generator`."""
        super().__init__()
        self.parts = named_parts(model)
        self.depth = sum(name.startswith("encoder") and "norm" not in name for name in self.parts)

    def apply_part(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """Applies a layer, and its normalization if it has one."""
        x = self.parts[name](x)
        return self.parts[f"{name}_norm"](x) if f"{name}_norm" in self.parts else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images (batch, channels, height, width) to images in [-1, 1]."""
        skips = []
        for level in range(1, self.depth + 1):
            x = nn.functional.leaky_relu(x, 0.2) if level > 1 else x
            x = self.apply_part(x, f"encoder{level}")
            skips.append(x)
        for level in range(self.depth, 0, -1):
            x = torch.cat([x, skips[level - 1]], 1) if level < self.depth else x
            x = self.apply_part(x.relu(), f"decoder{level}")
        return x.tanh()


def channels_first(images: np.ndarray) -> torch.Tensor:
    """Scales uint8 images to [-1, 1]; their last axis becomes the second."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
