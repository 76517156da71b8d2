"""Reads the book's YAML files, such as conf/wave.yml, as flags of train.py."""

import difflib
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from common.errors import UserError

# Each key of the original: its flag, and the types of its value. Flags that are None belong to
# machinery of the original that is not needed here.
TEXT, NUMBER, WHOLE, TEXTS = (str,), (int, float), (int,), (list, str)
KEYS: dict[str, tuple[str | None, tuple[type, ...]]] = {
    "style_image": ("style_image", TEXTS),
    "naming": ("name", TEXT),
    "model_path": (None, TEXT),
    "content_weight": ("content_weight", NUMBER),
    "style_weight": ("style_weight", NUMBER),
    "tv_weight": ("tv_weight", NUMBER),
    "image_size": ("image_size", WHOLE),
    "batch_size": ("batch_size", WHOLE),
    "epoch": ("epochs", WHOLE),
    "loss_model": ("network", TEXT),
    "content_layers": ("content_layers", (list,)),
    "style_layers": ("style_layers", (list,)),
    "checkpoint_exclude_scopes": (None, TEXT),
    "loss_model_file": ("weights", TEXT),
}
NETWORKS = {"vgg_16": "VGG16", "vgg_19": "VGG19"}  # TF-slim's names and ours
NAMES = {str: "text", int: "a whole number", float: "a number", list: "a list"}


def check(path: Path, key: str, value: Any) -> None:
    """Raises UserError if there is no such key, or its value has another type."""
    if key not in KEYS:
        near = difflib.get_close_matches(str(key), KEYS, 1, 0.3)
        raise UserError(f"{path} has an unknown key {key!r}" + "".join(f"; near it: {name}"
                                                                    for name in near),
                        f"the keys are {', '.join(KEYS)}")
    _, types = KEYS[key]
    if isinstance(value, bool) or not isinstance(value, types):
        raise UserError(f"{path}: {key} is {value!r}, not {NAMES[types[-1]]}", "correct the file")


def as_number(key: str, value: Any) -> Any:
    """Returns the number that a text stands for: YAML takes 1e-5, which has no point, for text."""
    if isinstance(value, str) and KEYS.get(key, (None, TEXT))[1] == NUMBER:
        with suppress(ValueError):
            return float(value)
    return value


def read(path: Path) -> dict[str, str]:
    """Returns the flags that a YAML file sets, as text.

    Prints the keys that have no effect.

    Raises:
        UserError: it cannot be read, or has an unknown key or a value of another type.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", "check -c") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is not YAML: {reason}", "correct the file") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} has no keys", f"the keys are {', '.join(KEYS)}")
    values = {key: as_number(key, value) for key, value in values.items()}
    for key, value in values.items():
        check(path, key, value)
    if idle := [key for key in values if KEYS[key][0] is None]:
        print(f"{path}: without effect here: {', '.join(idle)}", file=sys.stderr)
    flags = {KEYS[key][0]: ",".join(map(str, value)) if isinstance(value, list) else str(value)
             for key, value in values.items() if KEYS[key][0]}
    if "network" in flags:
        flags["network"] = NETWORKS.get(flags["network"], flags["network"])
    return flags


def expand(argv: Sequence[str] | None) -> list[str]:
    """Returns a command line with the flags of `-c FILE` in its place, before all that are typed.

    The last of two equal flags wins, so that typed flags override the file. `--run_dir` takes the
    place of the file's name.
    """
    words, typed = list(sys.argv[1:] if argv is None else argv), []
    flags: dict[str, str] = {}
    while words:
        word = words.pop(0)
        option, _, value = word.partition("=")
        if option.startswith("-c") and not option.startswith("-c=") and len(option) > 2:
            option, value = "-c", word[2:]  # -cFILE
        if option not in ("-c", "--conf"):
            typed.append(word)
        elif value or words:
            flags |= read(Path(value or words.pop(0)))
        else:
            raise UserError(f"{option} without a file", "give a YAML file, such as conf/wave.yml")
    options = {word.partition("=")[0] for word in typed}
    if options & {"--name", "--run_dir", "--resume"}:
        flags.pop("name", None)
    if "--max_steps" in options:
        flags.pop("epochs", None)
    return [*(part for flag, value in flags.items() for part in (f"--{flag}", value)), *typed]
