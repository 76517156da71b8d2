"""Patches per second of training a super-resolution network, and pictures per second: PyTorch.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter10_super_resolution

The network and the loss of the preset `best`, on drawn pictures. Both have the same weights, and
must find the same loss in the first step, or make the same picture. Training includes the input
pipeline; enlarging begins and ends with pictures in uint8. Each uses one thread, so that other
programs on the machine slow both alike.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

SIDE = 128  # of the picture that is enlarged, small
SETTINGS = {
    "training, patches of 24 pixels": {"batch_size": 16},
    f"enlarging {SIDE} x {SIDE} pixels": {"batch_size": None},
}


def picture() -> np.ndarray:
    """Returns a picture to enlarge, uint8 of shape (SIDE, SIDE, 3)."""
    from chapter10_super_resolution import drawn

    return drawn.draw_picture(0, SIDE)


def open_network() -> tuple[Any, Any]:
    """Returns the flags of the preset, on drawn pictures, and the network with a random tail."""
    from chapter10_super_resolution import inference, train

    args = harness.flags(train, "best", dataset="drawn", typed={})
    network = inference.build(args)
    tail = network.get_layer("tail")
    rng = np.random.default_rng(0)
    tail.set_weights([rng.normal(0, 0.02, value.shape) for value in tail.get_weights()])
    return args, network


def ours(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures chapter 10's train step on its input pipeline, or its enlargement."""
    import keras
    import tensorflow as tf

    from chapter10_super_resolution import data, inference, train

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    args, network = open_network()
    if not setting["batch_size"]:
        enlarge, small = inference.make_enlarge(network, args), picture()
        return lambda: float(enlarge(small).std()), 1
    averaged = keras.models.clone_model(network)
    optimizer = keras.optimizers.Adam(args.learning_rate)
    optimizer.build(network.trainable_variables)
    train_step = train.make_train_step(args, network, averaged, optimizer)
    batches = iter(data.training_batches(data.load(args).train, args))
    return lambda: float(train_step(*next(batches))["loss"]), setting["batch_size"]


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], float], int]:
    """Measures a plain PyTorch loop."""
    import torch
    from torch import nn
    from torch.nn import functional

    from benchmarks import torch_networks
    from chapter10_super_resolution import data

    torch.set_num_threads(1)
    args, keras_network = open_network()

    class Network(nn.Module):
        """EDSR with direct upsampling."""

        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict({
                layer.name: torch_networks.convolution(layer)
                for layer in keras_network.layers if layer.weights})
            tail = self.layers["tail"]  # PyTorch's pixel shuffle has the colour first
            order = torch.arange(3 * args.factor**2).reshape(args.factor**2, 3).T.flatten()
            tail.weight.data, tail.bias.data = tail.weight.data[order], tail.bias.data[order]

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            x = head = self.layers["head"](images / 255 - 0.5)
            for number in range(1, args.blocks + 1):
                inner = self.layers[f"block{number}_1"](x).relu()
                x = x + self.layers[f"block{number}_2"](inner)
            x = self.layers["tail"](head + self.layers["body"](x))
            bicubic = functional.interpolate(images, scale_factor=args.factor, mode="bicubic",
                                             antialias=True)  # with it, a is -1/2
            return bicubic + 255 * functional.pixel_shuffle(x, args.factor)

    network = Network()

    def tensor(images: np.ndarray) -> torch.Tensor:  # (batch, height, width, 3)
        return torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()

    if not setting["batch_size"]:
        small = picture()

        @torch.inference_mode()
        def enlarge() -> float:
            enlarged = network(tensor(small[None])).clamp(0, 255).round().byte()
            return float(enlarged[0].permute(1, 2, 0).numpy().std())

        return enlarge, 1
    stream = iter(data.training_batches(data.load(args).train, args))
    first = [next(stream) for _ in range(1)]  # the first batch of ours, to compare the losses
    pairs = list(data.read_pairs(data.load(args).train, args.factor, "bicubic").values())
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(network.parameters(), args.learning_rate)
    averages = [value.clone() for value in network.parameters()]

    def batch() -> tuple[np.ndarray, np.ndarray]:
        if first:
            return tuple(part.numpy() for part in first.pop())
        cut = [data.cut_patch(pairs[i], args.patch_size, "bicubic", rng)
               for i in rng.integers(len(pairs), size=setting["batch_size"])]
        return tuple(np.stack(part) for part in zip(*cut, strict=True))

    def step() -> float:
        sharp, small = map(tensor, batch())
        loss = (network(small) - sharp).abs().mean() / 255
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), args.clip_norm)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, list(network.parameters()), 1 - args.ema_decay)
        return loss.item()

    return step, setting["batch_size"]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    harness.WARMUP_STEPS = 2
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter10_super_resolution", "images/s", contenders, SETTINGS, argv, 1e-3)


if __name__ == "__main__":
    raise SystemExit(main())
