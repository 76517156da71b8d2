"""Images per second of the raccoons' SSD: ours, and the same network in an eager PyTorch loop.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.chapter05_detection

MobileNet 0.75 at 320 pixels with a feature pyramid, in batches of 8 scenes of chapter 5 from JPEG
bytes in memory. Training: decoding, resizing, mirroring, matching of anchors, forward and backward
pass with hard negatives, AdamW. Detection: decoding, resizing, the network, boxes, non-maximum
suppression. PyTorch matches anchors and suppresses boxes image by image, as its tutorials do.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import harness

BATCH_SIZE = 8
SIDE = 320
SCENES = 64
CANDIDATES = 400  # boxes per class before suppression in PyTorch, as in torchvision's SSD
SETTINGS = {"training, batch 8": {"train": True}, "detection, batch 8": {"train": False}}


def pipeline_of_both() -> dict[str, Any]:
    """Returns the raccoons' pipeline, without box voting, and with mirroring alone."""
    from chapter05_detection import pipeline

    whole = pipeline.read("ssd_raccoon")
    return whole | {"data_augmentation_options": [["random_horizontal_flip", {}]],
                    "post_processing": whole["post_processing"] | {"box_voting_iou_threshold": 0.0}}


def make_examples() -> list[Any]:
    """Draws scenes: a list of chapter 5's `Example`."""
    import cv2

    from chapter05_detection import records, shapes

    rng, examples = np.random.default_rng(0), []
    for number in range(SCENES):
        picture, objects = shapes.draw(rng)
        _, jpeg = cv2.imencode(".jpg", picture)
        boxes = np.array([box for _, box in objects], np.float32)
        boxes /= np.array([shapes.HEIGHT, shapes.WIDTH] * 2)
        labels = np.array([shapes.NAMES.index(name) for name, _ in objects])
        examples.append(records.Example(str(number), jpeg.tobytes(), boxes, labels, labels < 0))
    return examples


def ours(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures chapter 5's training step on its stream, or its detector."""
    from chapter05_detection import data, shapes, train, training
    from chapter05_detection.inference import build_detector, compile_detect
    from chapter05_detection.label_map import numbered

    examples = make_examples()
    detector = build_detector(pipeline_of_both(), numbered(shapes.NAMES), 0)
    if not setting["train"]:
        detect = compile_detect(detector)
        images = iter(data.evaluation_batches(examples, detector.pipeline["image_resizer"],
                                              BATCH_SIZE).repeat())
        return lambda: detect(next(images))["counts"].numpy(), BATCH_SIZE
    updates = training.Updates(harness.flags(train, "raccoon"), detector)
    train_step = train.make_train_step(detector, updates)
    batches = iter(data.training_batches(examples, detector.pipeline, BATCH_SIZE, 0))
    return lambda: float(train_step(*next(batches)[:3])[0]["loss"]), BATCH_SIZE


def make_ssd(num_anchors: Sequence[int], num_classes: int, kernel: int) -> Any:
    """Builds the same network in PyTorch; batch normalization stays in inference mode."""
    import torch
    from torch import nn

    def block(inner: nn.Module, channels: int) -> nn.Sequential:
        return nn.Sequential(inner, nn.BatchNorm2d(channels), nn.ReLU6())

    def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        depthwise = nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False)
        return nn.Sequential(block(depthwise, inputs),
                             block(nn.Conv2d(inputs, outputs, 1, bias=False), outputs))

    def tower(outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False),
                             nn.Conv2d(128, 128, 1), nn.ReLU6(),
                             nn.Conv2d(128, outputs, kernel, padding=kernel // 2))

    class SSD(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [24, 48, 96, 96, 192, 192, *[384] * 6, 768, 768]
            strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
            layers = [block(nn.Conv2d(3, 24, 3, 2, 1, bias=False), 24)]
            layers += map(separable, widths, widths[1:], strides)
            self.first, self.second = nn.Sequential(*layers[:12]), nn.Sequential(*layers[12:])
            self.third = nn.Sequential(nn.Conv2d(768, 128, 1), nn.ReLU6(),
                                       nn.Conv2d(128, 256, 3, 2, 1), nn.ReLU6())
            self.lateral = nn.ModuleList(nn.Conv2d(n, 128, 1) for n in (384, 768, 256))
            self.towers = nn.ModuleList(tower(n * (num_classes + 5)) for n in num_anchors)

        def train(self, mode: bool = True) -> nn.Module:
            super().train(mode)
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
            return self

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            maps = [self.first(images / 127.5 - 1)]
            maps.append(self.second(maps[-1]))
            maps.append(self.third(maps[-1]))
            maps = [layer(x) for layer, x in zip(self.lateral, maps, strict=True)]
            for i in (1, 0):
                maps[i] = maps[i] + nn.functional.interpolate(maps[i + 1], maps[i].shape[2:])
            parts = [layer(x).permute(0, 2, 3, 1).reshape(len(images), -1, num_classes + 5)
                     for layer, x in zip(self.towers, maps, strict=True)]
            return torch.cat(parts, 1).split((num_classes + 1, 4), 2)

    model = SSD()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.requires_grad_(False)
    return model


def torch_dataset(examples: list[Any], mirror: bool) -> Any:
    """Returns the scenes as a PyTorch data set of images (3, SIDE, SIDE), boxes and labels."""
    import io

    import torch
    from PIL import Image

    class Scenes(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(examples)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            example = examples[index]
            image = Image.open(io.BytesIO(example.encoded)).resize((SIDE, SIDE))
            image = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
            boxes, labels = torch.from_numpy(example.boxes), torch.from_numpy(example.labels)
            if mirror and torch.rand(()) < 0.5:
                top, left, bottom, right = boxes.unbind(1)
                image, boxes = image.flip(2), torch.stack([top, 1 - right, bottom, 1 - left], 1)
            return image, boxes, labels

    return Scenes()


def torch_iou(first: Any, second: Any) -> Any:
    """Returns the IoU of all pairs of boxes."""
    import torch

    corner = torch.maximum(first[:, None, :2], second[None, :, :2])
    sides = (torch.minimum(first[:, None, 2:], second[None, :, 2:]) - corner).clamp(min=0)
    intersection = sides.prod(2)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return intersection / (areas[0][:, None] + areas[1] - intersection)


def torch_loss(
    logits: Any, codes: Any, anchors: Any, boxes: Any, labels: Any, pipeline: dict[str, Any]
) -> Any:
    """Returns the loss of one image, not yet divided by its positives, and their number."""
    import torch

    overlap = torch_iou(boxes, anchors)
    best, matches = overlap.max(0)
    positive = best >= pipeline["matcher"]["matched_threshold"]
    negative = best < pipeline["matcher"]["unmatched_threshold"]
    forced = overlap.argmax(1)  # each box gets its best anchor
    matches[forced], positive[forced] = torch.arange(len(boxes)), True
    negative &= ~positive
    boxes = boxes[matches[positive]]
    anchors = anchors[positive]
    sizes, anchor_sizes = (b[:, 2:] - b[:, :2] for b in (boxes, anchors))
    offsets = (boxes[:, :2] + sizes / 2 - anchors[:, :2] - anchor_sizes / 2) / anchor_sizes
    targets = torch.cat([10 * offsets, 5 * (sizes / anchor_sizes).log()], 1)
    localization = torch.nn.functional.smooth_l1_loss(codes[positive], targets, reduction="sum")
    classes = torch.zeros(len(logits), dtype=torch.int64)
    classes[positive] = labels[matches[positive]] + 1
    one_hot = torch.nn.functional.one_hot(classes, logits.shape[1]).float()
    classification = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, one_hot, reduction="none").sum(1)
    count = int(positive.sum())
    hardest = classification[negative].topk(min(3 * count, int(negative.sum())))[0]
    weight = pipeline["loss"]["localization_weight"]
    return weight * localization + classification[positive].sum() + hardest.sum(), count


def torch_detect(logits: Any, codes: Any, anchors: Any, settings: dict[str, Any]) -> list[Any]:
    """Returns the detections of one image: for each class boxes and scores."""
    import torch

    sizes = anchors[:, 2:] - anchors[:, :2]
    centres = codes[:, :2] / 10 * sizes + anchors[:, :2] + sizes / 2
    sizes = (codes[:, 2:] / 5).exp() * sizes
    boxes = torch.cat([centres - sizes / 2, centres + sizes / 2], 1)
    found = []
    for scores in logits.sigmoid()[:, 1:].unbind(1):
        order = scores.argsort(descending=True)[:CANDIDATES]
        order = order[scores[order] > settings["score_threshold"]]
        close = (torch_iou(boxes[order], boxes[order]) > settings["iou_threshold"]).numpy()
        kept, left = [], np.ones(len(order), bool)
        for number in range(len(order)):
            if left[number]:
                kept.append(number)
                left &= ~close[number]
        kept = order[kept[: settings["max_detections_per_class"]]]
        found.append((boxes[kept], scores[kept]))
    return found


def pytorch(setting: dict[str, Any]) -> tuple[Callable[[], Any], int]:
    """Measures the same in PyTorch, with a DataLoader of two processes."""
    import torch

    from chapter05_detection import anchors as make
    from chapter05_detection import shapes

    pipeline = pipeline_of_both()
    sizes = make.level_shapes(pipeline["anchor_generator"], 3)
    anchors = torch.from_numpy(make.ssd_anchors([(20, 20), (10, 10), (5, 5)], sizes).numpy())
    model = make_ssd(list(map(len, sizes)), len(shapes.NAMES),
                     pipeline["box_predictor"]["kernel_size"]).train(setting["train"])
    loader = torch.utils.data.DataLoader(
        torch_dataset(make_examples(), mirror=setting["train"]), BATCH_SIZE, num_workers=2,
        shuffle=setting["train"], persistent_workers=True,
        collate_fn=lambda samples: list(zip(*samples, strict=True)))
    batches = (batch for _ in iter(int, 1) for batch in loader)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 1e-3)

    def train_step() -> None:
        images, boxes, labels = next(batches)
        logits, codes = model(torch.stack(images))
        losses = [torch_loss(*of_image[:2], anchors, *of_image[2:], pipeline)
                  for of_image in zip(logits, codes, boxes, labels, strict=True)]
        loss = sum(value for value, _ in losses) / sum(count for _, count in losses)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        loss.item()

    @torch.no_grad()
    def detect() -> None:
        images, _, _ = next(batches)
        for outputs in zip(*model(torch.stack(images)), strict=True):
            torch_detect(*outputs, anchors, pipeline["post_processing"])

    return train_step if setting["train"] else detect, BATCH_SIZE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark, or one measurement of it."""
    contenders = {"ours": ours, "pytorch": pytorch}
    return harness.run("chapter05_detection", "images/s", contenders, SETTINGS, argv)


if __name__ == "__main__":
    raise SystemExit(main())
