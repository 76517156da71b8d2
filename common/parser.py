"""Parsers that know their script, types of flags. Importing them does not load TensorFlow."""

import argparse
import sys
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from common.errors import UserError

# Flags of all chapters that may change on resume, and that may differ between two runs of the same
# recipe. Each chapter declares its own.
FREE = {"data_dir", "eval_every", "learning_rate", "log_every", "max_steps", "save_every"}
NEUTRAL = {"data_dir", "dataset", "log_every", "preset", "save_every", "seed"}


class Parser(argparse.ArgumentParser):
    """An argument parser that knows its script.

    Attributes:
        chapter: name of the script's folder.
        presets: default values of flags, by the name of the preset.
        own_data: preset of a command with --data_dir and without --preset; None: the first.
        free: flags that may change on resume.
        neutral: flags that may differ between two runs of the same recipe.
        data: flags of a verb that replace those of the run, because its data has moved.
    """

    def __init__(
        self, file: str, doc: str, presets: Mapping[str, dict[str, Any]] | None = None,
        free: Collection[str] = (), neutral: Collection[str] = (), data: Collection[str] = (),
        own_data: str | None = None,
    ):
        """Creates a parser without flags for the script `file`; `doc` is shown by `--help`."""
        path = Path(file).resolve()
        super().__init__(prog=path.name, description=doc, formatter_class=Formatter,
                         allow_abbrev=False)
        self.chapter, self.presets = path.parent.name, presets or {}
        self.free, self.neutral = FREE | set(free), NEUTRAL | set(neutral)
        self.data, self.own_data = data, own_data

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuses words that can be neither printed nor recorded."""
        for word in sys.argv[1:] if args is None else args:
            if not word.isascii() and any("\ud800" <= char <= "\udfff" for char in word):
                self.error(f"{word!r} is not UTF-8")
            if word.endswith("=--"):  # argparse would take it for no value at all
                self.error(f"{word} is not a value")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raises UserError instead of printing argparse's usage."""
        raise UserError(message, f"python {self.prog} --help lists the flags")


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the line breaks of docstrings; shows all defaults but None, False and empty text."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, "")
        return action.help if silent else super()._get_help_string(action)


def number(kind: type, low: float, high: float, what: str) -> Callable[[str], float]:
    """Returns an argparse `type` that accepts numbers in [low, high], described as `what`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not {what}")
        return value

    return parse


def path(text: str) -> str:
    """Returns the absolute path, so that a run can be resumed from any folder (argparse `type`)."""
    try:
        found = Path(text).expanduser().resolve()
        special = found.exists() and not (found.is_file() or found.is_dir())
    except (OSError, RuntimeError) as error:  # too long; a loop of links, an unknown user
        reason = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(f"{text} is not a path: {reason}") from error
    if special or any(unicodedata.category(char) == "Cc" for char in text):
        reason = "is neither a file nor a folder" if special else "has a control character"
        raise argparse.ArgumentTypeError(f"{text!r} {reason}")
    return str(found)
