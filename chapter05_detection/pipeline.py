"""The pipeline: a YAML file that describes a detector, with the names of the original's configs.

It takes the place of the original's protobuf messages. Keys that are left out have the defaults
below, which are the original's. What is about one run (steps, batch size, optimizer) is in the
flags of the training scripts.
"""

import difflib
import inspect
from pathlib import Path
from typing import Any

import yaml

from chapter05_detection.augment import STEPS
from chapter05_detection.losses import CLASSIFICATION, LOCALIZATION
from common import cli
from common.errors import UserError
from common.text import read_text

FOLDER = Path(__file__).resolve().parent / "configs"

# The value of a key is its default; a tuple holds all allowed ones, the first is the default.
RESIZER = {
    "type": ("fixed_shape_resizer", "keep_aspect_ratio_resizer"),
    "height": 300,
    "width": 300,
    "min_dimension": 600,
    "max_dimension": 1024,
}
CODER = {"y_scale": 10.0, "x_scale": 10.0, "height_scale": 5.0, "width_scale": 5.0}
SSD = {
    "model": ("ssd",),
    "num_classes": 0,  # 0: as many as the label map has
    "image_resizer": RESIZER | {"type": ("fixed_shape_resizer",)},
    "feature_extractor": {
        "type": "ssd_mobilenet_v1",
        "depth_multiplier": 1.0,
        "feature_maps": [],  # names of layers; empty: those of the type
        "extra_depths": [512, 256, 256, 128],  # channels of further maps, each of half the size
        "fpn_depth": 0,  # channels of a top-down path (Lin et al. 2016); 0: none
        "train_batch_norm": False,
    },
    "anchor_generator": {
        "min_scale": 0.2,
        "max_scale": 0.95,
        "aspect_ratios": [1.0, 2.0, 0.5, 3.0, 0.3333],
        "reduce_boxes_in_lowest_layer": True,
        "scales": [],  # a list for each map, in place of evenly spaced scales
    },
    "box_coder": CODER,
    "matcher": {
        "matched_threshold": 0.5,
        "unmatched_threshold": 0.5,
        "force_match_for_each_row": True,
    },
    "box_predictor": {
        "kernel_size": 1,
        "num_layers_before_predictor": 0,
        "depth": 128,  # channels of those layers
    },
    "loss": {
        "classification_loss": tuple(CLASSIFICATION),
        "localization_loss": tuple(LOCALIZATION),
        "classification_weight": 1.0,
        "localization_weight": 1.0,
        "hard_example_miner": {
            "max_negatives_per_positive": 3.0,  # 0: all negatives count
            "min_negatives_per_image": 0,
        },
    },
    "post_processing": {
        "score_threshold": 1e-8,
        "iou_threshold": 0.6,
        "box_voting_iou_threshold": 0.0,  # see `model.vote`; 0: none
        "max_detections_per_class": 100,
        "max_total_detections": 100,
        "score_converter": ("SIGMOID", "SOFTMAX", "IDENTITY"),
    },
    "data_augmentation_options": [],
    "mosaic_probability": 0.0,  # see `augment.mosaic`; 0: none
}
FASTER_RCNN = {
    "model": ("faster_rcnn",),
    "num_classes": 0,
    "image_resizer": RESIZER | {"type": ("keep_aspect_ratio_resizer", "fixed_shape_resizer")},
    "feature_extractor": {
        "type": "faster_rcnn_resnet101",
        "depth_multiplier": 1.0,
        "first_stage_layer": "",  # names of layers; empty: those of the type
        "second_stage_layer": "",
    },
    "first_stage_anchor_generator": {
        "height": 256,
        "width": 256,
        "height_stride": 16,
        "width_stride": 16,
        "height_offset": 0,
        "width_offset": 0,
        "scales": [0.25, 0.5, 1.0, 2.0],
        "aspect_ratios": [0.5, 1.0, 2.0],
    },
    "box_coder": CODER,
    "first_stage_box_predictor_kernel_size": 3,
    "first_stage_box_predictor_depth": 512,
    "first_stage_atrous_rate": 1,
    "first_stage_minibatch_size": 256,
    "first_stage_positive_balance_fraction": 0.5,
    "first_stage_matched_threshold": 0.7,
    "first_stage_unmatched_threshold": 0.3,
    "first_stage_nms_score_threshold": 0.0,
    "first_stage_nms_iou_threshold": 0.7,
    "first_stage_max_proposals": 300,
    "first_stage_localization_loss_weight": 2.0,
    "first_stage_objectness_loss_weight": 1.0,
    "initial_crop_size": 14,
    "maxpool_kernel_size": 2,
    "second_stage_batch_size": 64,
    "second_stage_balance_fraction": 0.25,
    "second_stage_matched_threshold": 0.5,
    "second_stage_localization_loss_weight": 2.0,
    "second_stage_classification_loss_weight": 1.0,
    "second_stage_post_processing": {
        "score_threshold": 0.0,
        "iou_threshold": 0.6,
        "box_voting_iou_threshold": 0.0,  # see `model.vote`; 0: none
        "max_detections_per_class": 100,
        "max_total_detections": 100,
        "score_converter": ("SOFTMAX", "SIGMOID", "IDENTITY"),
    },
    "data_augmentation_options": ["random_horizontal_flip"],
    "mosaic_probability": 0.0,  # see `augment.mosaic`; 0: none
}
MODELS = {"ssd": SSD, "faster_rcnn": FASTER_RCNN}

# The lowest and the highest value of numbers, also of those in lists, where not NON_NEGATIVE.
NON_NEGATIVE, FRACTION, POSITIVE, COUNT = (0, 10**6), (0, 1), (0.001, 10**6), (1, 10**6)
FRACTIONS = ("threshold", "fraction", "probability")  # endings of names
LIMITS = {
    **dict.fromkeys(("min_object_covered", "random_coef", "size_to_image_ratio"), FRACTION),
    **dict.fromkeys(("depth_multiplier", "min_scale", "max_scale", "scales", "aspect_ratios",
                     *CODER), POSITIVE),
    **dict.fromkeys(("height", "width", "min_dimension", "max_dimension", "height_stride",
                     "width_stride", "kernel_size", "depth", "max_detections_per_class",
                     "max_total_detections", "first_stage_box_predictor_kernel_size",
                     "first_stage_box_predictor_depth", "first_stage_atrous_rate",
                     "first_stage_minibatch_size", "first_stage_max_proposals",
                     "initial_crop_size", "maxpool_kernel_size", "second_stage_batch_size"), COUNT),
    "extra_depths": (2, 10**6),
    "area_range": (0.001, 1),
    "aspect_ratio_range": (0.01, 100),
    "ratio": (0, 0.5),
    "max_ratio": (1, 100),
    "pad_color": (0, 255),
    "max_black_patches": (0, 1000),
    "random_adjust_hue.max_delta": (0, 0.5),
}
# Of these pairs the first value is at most the second one; in augmentation it is below.
ORDERED = (("unmatched_threshold", "matched_threshold"),
           ("first_stage_unmatched_threshold", "first_stage_matched_threshold"),
           ("min_dimension", "max_dimension"), ("min_scale", "max_scale"),
           ("maxpool_kernel_size", "initial_crop_size"))
RANGES = (("min_delta", "max_delta"), ("minval", "maxval"))


def config_name(text: str) -> str:
    """Returns the name of a pipeline in configs/, or an absolute path (an argparse `type`)."""
    return text if (FOLDER / f"{text}.yaml").is_file() else cli.path(text)


def chosen(name: str | None, dataset: str) -> str:
    """Returns the pipeline that a flag names; by default that of the demo's shapes.

    Raises:
        UserError: none is named, and the data are no shapes.
    """
    if name is None and dataset != "shapes":
        names = ", ".join(sorted(path.stem for path in FOLDER.glob("*.yaml")))
        raise UserError(f"--dataset {dataset} without --pipeline_config_path",
                        f"give the pipeline of your training, a YAML file or one of {names}")
    return name or "ssd_shapes"


def read(text: str, model: str | None = None) -> dict[str, Any]:
    """Reads a pipeline and fills in the defaults.

    Args:
        text: name of a file in configs/, or a path.
        model: "ssd" or "faster_rcnn", which the file must describe; None for any.

    Raises:
        UserError: the file cannot be read; or a key is unknown, or its value is of another kind.
    """
    path = FOLDER / f"{text}.yaml"
    path = path if path.is_file() else Path(text)
    if path.suffix == ".config":
        raise UserError(f"{path} is a protobuf config of the original",
                        "write its values into a YAML file; configs/ has examples")
    try:
        found = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not YAML: {reason}", "configs/ has examples") from error
    if not isinstance(found, dict) or found.get("model") not in MODELS:
        raise UserError(f"{path} does not say which model: {' or '.join(MODELS)}",
                        "begin it with a line such as: model: ssd")
    if model not in (None, found["model"]):
        scripts = {"ssd": "train.py", "faster_rcnn": "train_faster_rcnn.py"}
        raise UserError(f"{path} describes the model {found['model']}, not {model}",
                        f"train it by python {scripts[found['model']]}")
    try:
        pipeline = merge(found, MODELS[found["model"]])
        pipeline["data_augmentation_options"] = [
            step_of(option) for option in pipeline["data_augmentation_options"]]
        check_converter(pipeline)
    except ValueError as error:
        raise UserError(f"{path}: {error}", "configs/ and pipeline.py have all keys") from error
    return pipeline


def merge(found: Any, defaults: dict[str, Any], where: str = "") -> dict[str, Any]:
    """Returns the values of a mapping, with the defaults of the keys that it lacks.

    Raises:
        ValueError: a key is unknown, or a value of another kind than its default.
    """
    if not isinstance(found, dict):
        raise ValueError(f"{where[:-1]} is {found!r}, not a mapping of keys")
    for key in found:
        if key not in defaults:
            near = difflib.get_close_matches(str(key), defaults, 1)
            raise ValueError(f"unknown key {where}{key}"
                             + (f"; do you mean {near[0]}?" if near else ""))
    merged = {}
    for key, default in defaults.items():
        name = where + key
        if isinstance(default, dict):
            merged[key] = merge(found.get(key, {}), default, name + ".")
        elif isinstance(default, tuple):
            merged[key] = found.get(key, default[0])
            if merged[key] not in default:
                raise ValueError(f"{name} is {merged[key]!r}, not one of {', '.join(default)}")
        else:
            merged[key] = value_of(found.get(key, default), default, name)
    for low, high in ORDERED:
        if low in merged and merged[low] > merged[high]:
            raise ValueError(f"{where}{low} is {merged[low]}, above {high}, {merged[high]}")
    return merged


def check_converter(pipeline: dict[str, Any]) -> None:
    """Raises ValueError if scores are made of the logits in another way than the loss does it."""
    loss, post = "weighted_softmax", "second_stage_post_processing"
    if pipeline["model"] == "ssd":
        loss, post = pipeline["loss"]["classification_loss"], "post_processing"
    fitting = "SOFTMAX" if loss == "weighted_softmax" else "SIGMOID"
    if (given := pipeline[post]["score_converter"]) not in (fitting, "IDENTITY"):
        raise ValueError(f"{post}.score_converter is {given}; the loss {loss} needs {fitting}")


def value_of(value: Any, default: Any, name: str) -> Any:
    """Returns a value as the kind of its default; its numbers are within LIMITS.

    Raises:
        ValueError: it is of another kind, or out of its limits.
    """
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a name",
                list: "a list"}[type(default)]
        raise ValueError(f"{name} is {value!r}, not {kind}")
    if type(value) in (int, float):
        check_number(value, name)
    if type(value) is list:
        check_list(value, default, name)
    return value


def check_number(value: Any, name: str, kinds: tuple[type, ...] = (int, float)) -> None:
    """Raises ValueError unless a value is a number within the limits of its key."""
    key = name.rpartition(".")[2]
    low, high = FRACTION if key.endswith(FRACTIONS) else LIMITS.get(key, NON_NEGATIVE)
    low, high = LIMITS.get(".".join(name.split(".")[-2:]), (low, high))
    if type(value) not in kinds or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}, not a number from {low:,} to {high:,}")


def check_list(values: list, default: list, name: str) -> None:
    """Raises ValueError unless all values of a list are of the kind of its default."""
    key = name.rpartition(".")[2]
    if key == "data_augmentation_options":  # `step_of` reads them
        return
    if not values and default and key != "extra_depths":
        raise ValueError(f"{name} is empty")
    for value in values:
        if key == "feature_maps":
            value_of(value, "", name)
        elif key == "scales" and not default:  # SSD's: a list for each map
            value_of(value, [0.0], name)
        else:
            check_number(value, name, (int,) if type(default[0]) is int else (int, float))


def step_of(option: Any) -> list:
    """Returns the name and the settings of an augmentation step: `name` or `{name: {key: value}}`.

    Raises:
        ValueError: the step or a key is unknown.
    """
    name, settings = option, {}
    if isinstance(option, dict) and len(option) == 1:
        name, settings = next(iter(option.items()))
    if not isinstance(name, str) or name not in STEPS:
        raise ValueError(f"unknown data_augmentation_options {name!r}; there are "
                         f"{', '.join(STEPS)}")
    signature = inspect.signature(STEPS[name])
    return [name, check_settings(name, settings or {}, signature)]


def check_settings(name: str, settings: Any, signature: inspect.Signature) -> dict[str, Any]:
    """Returns the settings of a step.

    Raises:
        ValueError: a key is unknown, or a value of another kind or out of its limits.
    """
    where = f"data_augmentation_options.{name}."
    if not isinstance(settings, dict):
        raise ValueError(f"{where[:-1]} is {settings!r}, not a mapping of keys")
    known = {key: value.default for key, value in signature.parameters.items()
             if value.default is not inspect.Parameter.empty}
    checked = {}
    for key, value in settings.items():
        if key not in known:
            raise ValueError(f"unknown key {where}{key}; it has {', '.join(known) or 'none'}")
        default = known[key]
        if not isinstance(default, tuple):
            checked[key] = value_of(value, default, where + key)
            continue
        checked[key] = value_of(value, list(map(float, default)), where + key)
        if len(value) != len(default) or (key.endswith("_range") and value[0] > value[1]):
            raise ValueError(f"{where}{key} is {value}, not {len(default)} numbers such as "
                             f"{list(default)}")
    every = known | checked
    for low, high in RANGES:
        if low in every and every[low] >= every[high]:
            raise ValueError(f"{where}{low} is {every[low]}, not below {high}, {every[high]}")
    return checked
