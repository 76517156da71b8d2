"""Command lines: the shared flags, presets, what a resume may change, and how errors end.

A script's `main` is one call: `run_training` for `train.py`, `run_verb` for everything that works
on a finished run (`eval.py`, `export.py`, `sample.py` ...).
"""

import argparse
import errno
import json
import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import keras

from common import rundir
from common.errors import Interrupted, UserError

DISK_FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
BAD_PATH = {errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EROFS}

Presets = dict[str, dict[str, Any]]

# What a resumed run may change. Every other flag shapes the model or the data and stays fixed.
FREE_FLAGS = {
    "data_dir", "epochs", "eval_episodes", "eval_every", "input_file", "log_every", "max_steps",
    "name", "patience", "render", "resume", "run_dir", "sample_every", "save_every", "speed",
    "strategy", "video",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors look like all our errors."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError in place of argparse's usage dump."""
        raise UserError(message, f"python {self.prog} --help lists the flags")


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps a docstring's line breaks, and tells each default that tells something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, "")
        return action.help if silent else super()._get_help_string(action)


def build_parser(doc: str, prog: str) -> Parser:
    """Returns a parser that shows a script's docstring."""
    return Parser(prog=prog, description=doc, formatter_class=Formatter, allow_abbrev=False)


def training_parser(doc: str, presets: Presets) -> Parser:
    """Returns a parser with the flags that every `train.py` has."""
    parser = build_parser(doc, "train.py")
    rows = (f"  {name}: " + " ".join(f"--{k} {v}" for k, v in flags.items())
            for name, flags in presets.items())
    parser.epilog = "\n".join(["presets, what they set in place of the defaults above:", *rows])
    group = parser.add_argument_group("run")
    group.add_argument("--preset", choices=list(presets), default=next(iter(presets)),
                       help="named set of defaults; flags that are typed win over it")
    group.add_argument("--name", help="run folder runs/<chapter>/<name>; resumed if it exists")
    group.add_argument("--run_dir", help="run folder anywhere; resumed if it exists")
    group.add_argument("--resume", action="store_true", help="go on with the newest run")
    group.add_argument("--seed", type=seed, default=0, help="seed of all randomness")
    return parser


def verb_parser(doc: str, prog: str, checkpoint: str = "best") -> Parser:
    """Returns a parser with the flags of every script that works on a finished run.

    Args:
        doc: docstring of the script.
        prog: its name.
        checkpoint: the default; "latest" where no validation chooses a best one.
    """
    parser = build_parser(doc, prog)
    parser.add_argument("--name", help="the run runs/<chapter>/<name> (default: the newest run)")
    parser.add_argument("--run_dir", help="the run folder itself")
    parser.add_argument("--checkpoint", choices=["best", "latest"], default=checkpoint,
                        help="which weights: the best on validation, or the newest")
    return parser


def number(kind: type, low: float, high: float, what: str) -> Callable[[str], float]:
    """Makes an argparse `type` that accepts numbers from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not {what}")
        return value

    return parse


TINY = sys.float_info.min
positive_int = number(int, 1, math.inf, "a whole number of at least 1")
non_negative_int = number(int, 0, math.inf, "a whole number of at least 0")
positive_float = number(float, TINY, sys.float_info.max, "a number above 0")
fraction = number(float, 0, 1, "between 0 and 1")
keep_prob = number(float, TINY, 1, "above 0 and at most 1")
share = number(float, TINY, math.nextafter(1, 0), "above 0 and below 1")
seed = number(int, 0, 2**32 - 1, "a whole number from 0 to 4294967295")


def path(text: str) -> str:
    """Makes a path absolute, so that a run can be resumed from any folder (an argparse `type`)."""
    return str(Path(text).expanduser().resolve())


def resolve(
    parser: Parser, presets: Presets, chapter: str, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Settles every flag of a training run: default < preset < the resumed run < typed.

    The result also carries `chapter`, `command`, `run_dir` (a Path) and `changed`, the free flags
    that this command gives another value than the run had.

    Raises:
        UserError: a typed flag contradicts the run that is resumed.
    """
    defaults = vars(parser.parse_args([]))
    unset = object()
    blank = argparse.Namespace(**dict.fromkeys(defaults, unset))
    typed = {k: v for k, v in vars(parser.parse_args(argv, blank)).items() if v is not unset}
    args = argparse.Namespace(**{**defaults, **typed})
    run_dir = rundir.locate(chapter, args)
    config = rundir.read_config(run_dir, chapter) if rundir.exists(run_dir) else None
    if config is None:
        settled, changed = {**vars(args), **presets[args.preset], **typed}, {}
    else:
        old = config["flags"]
        changed = {k: v for k, v in typed.items() if k not in ("name", "run_dir", "resume")
                   and k in old and v != old[k]}
        if fixed := sorted(changed.keys() - FREE_FLAGS):
            flag = fixed[0]
            raise UserError(
                f"--{flag} {changed[flag]} contradicts {run_dir}, made with --{flag} {old[flag]}",
                "leave the flag away to go on with that run, or start another with a new --name",
            )
        settled = {**vars(args), **old, **typed}
        if (step := rundir.last_step(run_dir)) >= settled.get("max_steps", math.inf):
            raise UserError(
                f"nothing to do: {run_dir} is at step {step} of {settled['max_steps']}",
                "raise --max_steps to train on, or start another run with a new --name",
            )
        print(f"resuming {run_dir} at step {step}", file=sys.stderr)
        for flag, value in changed.items():
            print(f"{flag}: {old[flag]} -> {value}", file=sys.stderr)
    return argparse.Namespace(
        **{**settled, "run_dir": run_dir},
        chapter=chapter,
        changed=changed,
        unnamed=not (args.run_dir or args.name or args.resume),
        command=command(typed),
    )


def refuse_idle(
    args: argparse.Namespace, parser: Parser, presets: Presets, flags: Sequence[str], beside: str
) -> None:
    """Raises UserError if a flag was given that has no meaning beside others.

    Given is a value that is neither the parser's default nor the preset's.

    Args:
        args: what `resolve` returned.
        parser: of the script.
        presets: of the script.
        flags: those without meaning.
        beside: the others, for the message.
    """
    defaults = vars(parser.parse_args([]))
    for flag in flags:
        value, usual = getattr(args, flag), (defaults[flag], presets[args.preset].get(flag))
        if value not in usual:
            raise UserError(f"--{flag} {value} has no meaning for {beside}", "leave it away")


def command(typed: dict[str, Any]) -> str:
    """Returns the command line that sets these flags; paths in it are absolute."""
    return shlex.join(["python", "train.py", *rundir.flag_words(typed)])


def run(action: Callable[[], dict[str, Any] | None]) -> int:
    """Runs a script's work and turns its outcome into an exit status.

    The returned metrics, if any, are printed as one line of JSON, the last line of stdout.

    Returns:
        0 on success, 2 after a user's mistake (two lines on stderr), 130 after an interruption,
        141 where nobody reads the output any more.
    """
    try:
        metrics = action()
        if metrics is not None:
            print(json.dumps(metrics, allow_nan=False))
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt) as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read the output, such as `head`, has had enough
        with suppress(OSError, ValueError):  # else Python complains once more as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in DISK_FULL | BAD_PATH:
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"error: cannot write{where}: {error.strerror}", file=sys.stderr)
        hint = "free some space" if error.errno in DISK_FULL else "give another place to write to"
        print(f"hint: {hint}", file=sys.stderr)
        return 2
    return 0


def run_training(
    train: Callable[[argparse.Namespace], dict[str, float]],
    parser: Parser,
    presets: Presets,
    chapter: str,
    argv: Sequence[str] | None,
) -> int:
    """Is the `main` of every `train.py`; see `resolve` and `run`."""
    # Keras counts on in the names of layers, by which TensorFlow orders sums: a second training in
    # one process would differ from the first in the last bit.
    keras.utils.clear_session()
    return run(lambda: train(resolve(parser, presets, chapter, argv)))


def run_verb(
    verb: Callable[[argparse.Namespace, argparse.Namespace], dict[str, Any] | None],
    parser: Parser,
    chapter: str,
    argv: Sequence[str] | None,
) -> int:
    """Is the `main` of every script that works on a finished run.

    `verb` gets the script's own arguments (its `run_dir` a Path) and the flags the run was
    trained with.
    """
    def action() -> dict[str, Any] | None:
        args = parser.parse_args(argv)
        args.run_dir = rundir.find(chapter, args)
        config = rundir.read_config(args.run_dir, chapter)
        return verb(args, argparse.Namespace(**config["flags"]))

    return run(action)
