"""The networks of chapter 11 in PyTorch, with the weights of the Keras models."""

import keras
import torch
from torch import nn

from benchmarks.torch_gans import Deconvolution, instance_norm, named_parts, padded


class Generator(nn.Module):
    """A generator with instance normalization, without an identity start."""

    def __init__(self, model: keras.Model):
        """Copies the weights of `build_generator`."""
        super().__init__()
        self.parts = named_parts(model)

    def apply_part(self, x: torch.Tensor, name: str, reflect: int = 0) -> torch.Tensor:
        """Continues an image by mirroring, applies a convolution, and its normalization."""
        x = nn.functional.pad(x, (reflect,) * 4, mode="reflect") if reflect else x
        x = self.parts[name](x)
        return self.parts[f"{name}_norm"](x) if f"{name}_norm" in self.parts else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps images (batch, 3, height, width) to images in [-1, 1]."""
        x = self.apply_part(x, "c7s1", 3).relu()
        names = [name for name in self.parts if not name.endswith("_norm")]
        for name in names:
            if name.startswith("d"):
                x = self.apply_part(x, name).relu()
            elif name.startswith("block") and name.endswith("a"):
                y = self.apply_part(x, name, 1).relu()
                x = x + self.apply_part(y, f"{name[:-1]}b", 1)
            elif name.startswith("u"):
                if not isinstance(self.parts[name], Deconvolution):
                    x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
                x = self.apply_part(x, name).relu()
        return self.apply_part(x, "output", 3).tanh()


def discriminator(model: keras.Model) -> nn.Sequential:
    """Translates a discriminator."""
    found: list[nn.Module] = []
    for layer in model.layers:
        match layer:
            case keras.layers.Conv2D():
                found.append(padded(layer))
            case keras.layers.GroupNormalization():
                found.append(instance_norm(layer))
            case keras.layers.LeakyReLU():
                found.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*found)
