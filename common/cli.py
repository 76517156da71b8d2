"""Command lines: shared flags, types of numbers, and the `main` of a script.

`main` is one call: `run_training` for a training script, `run_verb` for a script that uses a
finished run (`eval.py`, `export.py`, `sample.py` ...).
"""

import argparse
import math
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from common import config, rundir
from common.errors import UserError, exit_status
from common.flags import flag_words, resolve, typed_flags
from common.parser import Parser, number, path


def training_parser(
    file: str, doc: str, presets: Mapping[str, dict[str, Any]],
    free: Collection[str] = (), neutral: Collection[str] = (), own_data: str | None = None,
) -> Parser:
    """Returns a parser with the flags that every training script has.

    Args:
        file: `__file__` of the script.
        doc: its docstring.
        presets: default values by the name of the preset; the first is the default.
        free: the chapter's own flags that may change on resume; all others are fixed.
        neutral: the chapter's own flags that may differ between two runs of the same recipe.
        own_data: the preset of a command with `--data_dir`, if it is not the first.
    """
    parser = Parser(file, doc, presets, free, neutral, own_data=own_data)
    rows = (f"  {name}: " + " ".join(f"--{k} {v}" for k, v in flags.items())
            for name, flags in presets.items())
    parser.epilog = "\n".join(["presets, and the flags that they set:", *rows])
    group = parser.add_argument_group("run")
    group.add_argument("--preset", choices=list(presets), default=next(iter(presets)),
                       help="named set of defaults; typed flags override it"
                            + (f" (with --data_dir: {own_data})" if own_data else ""))
    group.add_argument("--name", help="run folder runs/<chapter>/<name>; resumed if it exists")
    group.add_argument("--run_dir", type=path, help="path of the run folder; resumed if it exists")
    group.add_argument("--resume", action="store_true", help="resume the latest run")
    group.add_argument("--seed", type=seed, default=0, help="seed of all random numbers")
    return parser


def verb_parser(
    file: str, doc: str, checkpoint: str = "best", data: Collection[str] = (),
    data_type: Callable[[str], str] | None = None,
) -> Parser:
    """Returns a parser with the flags of every script that uses a finished run.

    Args:
        file: `__file__` of the script.
        doc: its docstring.
        checkpoint: default of `--checkpoint`; "latest" where validation selects no best one.
        data: flags of the training script that say where its data lies. The script takes them
            too, because the data may have moved since.
        data_type: argparse `type` of these flags (default: `path`).
    """
    parser = Parser(file, doc, data=data)
    parser.add_argument("--name", help="the run runs/<chapter>/<name> (default: the latest run)")
    parser.add_argument("--run_dir", type=path, help="path of the run folder")
    parser.add_argument("--checkpoint", type=checkpoint_name, default=checkpoint,
                        metavar="best|latest|STEP",
                        help="which weights: the best on validation data, the latest, or those of "
                             "a step")
    for flag in data:
        parser.add_argument(f"--{flag}", type=data_type or path,
                            help="where the run's data lies now (default: where it was trained)")
    return parser


def add_init_from(parser: argparse.ArgumentParser) -> None:
    """Adds `--init_from`; the script calls `checkpoint.start_from`."""
    parser.add_argument("--init_from", metavar="RUN", type=run_or_name,
                        help="name or folder of a run whose weights a new run starts from; those "
                             "of another shape (other classes) start afresh")


TINY, HUGE, INT64 = sys.float_info.min, sys.float_info.max, 2**63 - 1
positive_int = number(int, 1, INT64, "a whole number of at least 1 (and below 2**63)")
non_negative_int = number(int, 0, INT64, "a whole number of at least 0 (and below 2**63)")
size = number(int, 1, 2**20, "a whole number from 1 to 1048576")  # of a batch, layer or vector
small_int = number(int, 1, 2**16, "a whole number from 1 to 65536")  # of environments, files
layer_count = number(int, 1, 100, "a whole number from 1 to 100")
positive_float = number(float, TINY, HUGE, "a number above 0")
non_negative_float = number(float, 0, HUGE, "a number of at least 0")
from_0_to_1 = number(float, 0, 1, "a number from 0 to 1")
above_0_to_1 = number(float, TINY, 1, "a number above 0 and at most 1")
between_0_and_1 = number(float, TINY, math.nextafter(1, 0), "a number above 0 and below 1")
seed = number(int, 0, 2**32 - 1, "a whole number from 0 to 4294967295")


def checkpoint_name(text: str) -> str:
    """Returns "best", "latest" or the number of a step (argparse `type`)."""
    if text not in ("best", "latest") and not (text.isdecimal() and len(text) < 20):
        raise argparse.ArgumentTypeError(f"{text} is neither best nor latest nor a step")
    return text


def run_or_name(text: str) -> str:
    """Returns the absolute path of a folder, or a name as it is (argparse `type`)."""
    absolute = path(text)  # refuses what can be neither
    return absolute if "/" in text or Path(text).is_dir() else text


def refuse_idle(args: argparse.Namespace, flags: Collection[str], beside: str) -> None:
    """Raises UserError if a typed flag has no effect because of others.

    Args:
        args: the result of `resolve`, or the arguments of a verb.
        flags: names of the flags without effect.
        beside: the flags that are the reason, as typed; for the message.
    """
    if idle := {flag: args.typed[flag] for flag in flags if flag in args.typed}:
        raise UserError(f"{' '.join(flag_words(idle))} has no effect with {beside}", "omit it")


def run_training(
    train: Callable[[argparse.Namespace], dict[str, float]],
    parser: Parser,
    argv: Sequence[str] | None,
) -> int:
    """Runs the `train` of a training script on the resolved flags; returns the exit status."""
    def action() -> dict[str, float]:
        args = resolve(parser, argv)
        _configure_keras()
        with _explaining_config(args.run_dir):
            return train(args)

    return exit_status(action)


def run_verb(
    verb: Callable[[argparse.Namespace, argparse.Namespace], dict[str, Any] | None],
    parser: Parser,
    argv: Sequence[str] | None,
) -> int:
    """Runs a script that uses a finished run; returns the exit status.

    `verb` gets the arguments of the script (with `chapter`, `run_dir` as a Path, and `typed`: the
    flags of this command line, by name) and the flags of the run.
    """
    def action() -> dict[str, Any] | None:
        args = parser.parse_args(argv)
        args.chapter, args.typed = parser.chapter, typed_flags(parser, argv)
        args.run_dir = rundir.finished_run(parser.chapter, args)
        flags = rundir.read_config(args.run_dir, parser.chapter)["flags"]
        moved = {flag: vars(args)[flag] for flag in parser.data if vars(args)[flag]}
        _configure_keras()
        with _explaining_config(args.run_dir):
            return verb(args, argparse.Namespace(**flags | moved))

    return exit_status(action)


@contextmanager
def _explaining_config(run_dir: Path) -> Iterator[None]:
    """Raises UserError for what fails because the config.json of a run was edited or is old."""
    edited = rundir.exists(run_dir) and config.edited(run_dir)
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        path, obj = run_dir / "config.json", getattr(error, "obj", None)
        if not edited and not isinstance(obj, argparse.Namespace):
            raise
        raise UserError(f"{path} was edited, or is of another version of this code ({error})",
                        "restore it, or start a new run") from error


def _configure_keras() -> None:
    """Sets what the networks rely on, whatever ~/.keras/keras.json and KERAS_* say.

    Raises:
        UserError: Keras does not run on TensorFlow.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise UserError(f"Keras runs on {backend}, this code on TensorFlow",
                        "unset KERAS_BACKEND, or set it to tensorflow")
    keras.config.set_image_data_format("channels_last")
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_max_epochs(None)
    keras.config.set_max_steps_per_epoch(None)
    # Keras numbers layer names within a process, and TensorFlow sums in the order of names. Without
    # the reset, a second training in the same process would differ in the last bit.
    keras.utils.clear_session()
