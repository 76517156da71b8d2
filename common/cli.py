"""Command lines: shared flags, presets, the flags of a resumed run, and exit statuses.

The `main` of a script is one call: `run_training` for a training script, `run_verb` for a script
that uses a finished run (`eval.py`, `export.py`, `sample.py` ...).
"""

import argparse
import math
import shlex
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import keras

from common import rundir
from common.errors import UserError, exit_status

RUN_FLAGS = {"name", "resume", "run_dir"}  # they select a run and are not recorded

# Flags of all chapters that may change on resume, and that may differ between two runs of the same
# recipe. Each chapter declares its own.
FREE = {"data_dir", "eval_every", "log_every", "max_steps", "save_every"}
NEUTRAL = {"data_dir", "dataset", "log_every", "preset", "save_every", "seed"}


class Parser(argparse.ArgumentParser):
    """An argument parser that knows its script.

    Attributes:
        chapter: name of the script's folder.
        presets: default values of flags, by the name of the preset.
        free: flags that may change on resume.
        neutral: flags that may differ between two runs of the same recipe.
    """

    def __init__(
        self, file: str, doc: str, presets: Mapping[str, dict[str, Any]] | None = None,
        free: Collection[str] = (), neutral: Collection[str] = (),
    ):
        """Creates a parser without flags for the script `file`; `doc` is shown by `--help`."""
        path = Path(file).resolve()
        super().__init__(prog=path.name, description=doc, formatter_class=Formatter,
                         allow_abbrev=False)
        self.chapter, self.presets = path.parent.name, presets or {}
        self.free, self.neutral = FREE | set(free), NEUTRAL | set(neutral)

    def error(self, message: str) -> NoReturn:
        """Raises UserError instead of printing argparse's usage."""
        raise UserError(message, f"python {self.prog} --help lists the flags")


class Formatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    """Keeps the line breaks of docstrings; shows all defaults but None, False and empty text."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        silent = action.default in (None, False, "")
        return action.help if silent else super()._get_help_string(action)


def training_parser(
    file: str, doc: str, presets: Mapping[str, dict[str, Any]],
    free: Collection[str] = (), neutral: Collection[str] = (),
) -> Parser:
    """Returns a parser with the flags that every training script has.

    Args:
        file: `__file__` of the script.
        doc: its docstring.
        presets: default values by the name of the preset; the first is the default.
        free: the chapter's own flags that may change on resume; all others are fixed.
        neutral: the chapter's own flags that may differ between two runs of the same recipe.
    """
    parser = Parser(file, doc, presets, free, neutral)
    rows = (f"  {name}: " + " ".join(f"--{k} {v}" for k, v in flags.items())
            for name, flags in presets.items())
    parser.epilog = "\n".join(["presets, and the flags that they set:", *rows])
    group = parser.add_argument_group("run")
    group.add_argument("--preset", choices=list(presets), default=next(iter(presets)),
                       help="named set of defaults; typed flags override it")
    group.add_argument("--name", help="run folder runs/<chapter>/<name>; resumed if it exists")
    group.add_argument("--run_dir", help="path of the run folder; resumed if it exists")
    group.add_argument("--resume", action="store_true", help="resume the latest run")
    group.add_argument("--seed", type=seed, default=0, help="seed of all random numbers")
    return parser


def verb_parser(file: str, doc: str, checkpoint: str = "best") -> Parser:
    """Returns a parser with the flags of every script that uses a finished run.

    Args:
        file: `__file__` of the script.
        doc: its docstring.
        checkpoint: default of `--checkpoint`; "latest" where validation selects no best one.
    """
    parser = Parser(file, doc)
    parser.add_argument("--name", help="the run runs/<chapter>/<name> (default: the latest run)")
    parser.add_argument("--run_dir", help="path of the run folder")
    parser.add_argument("--checkpoint", choices=["best", "latest"], default=checkpoint,
                        help="which weights: the best on validation data, or the latest")
    return parser


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


TINY, HUGE = sys.float_info.min, sys.float_info.max
positive_int = number(int, 1, math.inf, "a whole number of at least 1")
non_negative_int = number(int, 0, math.inf, "a whole number of at least 0")
positive_float = number(float, TINY, HUGE, "a number above 0")
non_negative_float = number(float, 0, HUGE, "a number of at least 0")
from_0_to_1 = number(float, 0, 1, "a number from 0 to 1")
above_0_to_1 = number(float, TINY, 1, "a number above 0 and at most 1")
between_0_and_1 = number(float, TINY, math.nextafter(1, 0), "a number above 0 and below 1")
seed = number(int, 0, 2**32 - 1, "a whole number from 0 to 4294967295")


def path(text: str) -> str:
    """Returns the absolute path, so that a run can be resumed from any folder (argparse `type`)."""
    return str(Path(text).expanduser().resolve())


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Returns the command line words that set the given flags."""
    words: list[str] = []
    for flag, value in flags.items():
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


def resolve(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the value of every flag of a training run: default < preset < resumed run < typed.

    Besides the flags, the result has `run_dir` (a Path), `chapter`, `script` and `neutral` of the
    parser, `command`, `unnamed` (whether the name of the run folder is generated), `typed` (the
    flags of this command line, by name) and `changed` (those that differ from the resumed run).

    Raises:
        UserError: a typed flag contradicts the run to resume.
    """
    defaults = vars(parser.parse_args([]))
    unset = object()
    blank = argparse.Namespace(**dict.fromkeys(defaults, unset))
    typed = {k: v for k, v in vars(parser.parse_args(argv, blank)).items() if v is not unset}
    args = argparse.Namespace(**{**defaults, **typed})
    run_dir, changed = rundir.folder_to_train(parser.chapter, args), {}
    settled = {**vars(args), **parser.presets[args.preset], **typed}
    if rundir.exists(run_dir):
        settled, changed = _resume(parser, run_dir, typed)
    return argparse.Namespace(
        **{**settled, "run_dir": run_dir},
        chapter=parser.chapter, script=parser.prog, neutral=sorted(parser.neutral),
        command=shlex.join(["python", parser.prog, *flag_words(typed)]),
        unnamed=not (args.run_dir or args.name or args.resume),
        typed=typed, changed=changed,
    )


def _resume(
    parser: Parser, run_dir: Path, typed: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the flags of the run to resume, and those that this command line changes."""
    config = rundir.read_config(run_dir, parser.chapter)
    if (script := config.get("script", parser.prog)) != parser.prog:
        raise UserError(f"{run_dir} was made by {script}, not by {parser.prog}",
                        f"python {script} --run_dir {shlex.quote(str(run_dir))}")
    old = config["flags"]
    changed = {k: v for k, v in typed.items() if k in old and v != old[k]}
    if fixed := sorted(changed.keys() - parser.free):
        new, made_with = (" ".join(flag_words({fixed[0]: flags[fixed[0]]}))
                          for flags in (changed, old))
        raise UserError(
            f"{new} contradicts {run_dir}, made with {made_with}",
            "omit the flag to resume that run, or start another with a new --name",
        )
    settled = {**vars(parser.parse_args([])), **old, **typed}
    if (step := rundir.last_step(run_dir)) >= settled.get("max_steps", math.inf):
        raise UserError(
            f"nothing to do: {run_dir} is at step {step} of {settled['max_steps']}",
            "raise --max_steps to continue, or start another run with a new --name",
        )
    print(f"resuming {run_dir} at step {step}", file=sys.stderr)
    for flag, value in changed.items():
        print(f"{flag}: {old[flag]} -> {value}", file=sys.stderr)
    return settled, changed


def refuse_idle(args: argparse.Namespace, flags: Collection[str], beside: str) -> None:
    """Raises UserError if a typed flag has no effect because of others.

    Args:
        args: the result of `resolve`.
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
    # Keras numbers layer names within a process, and TensorFlow sums in the order of names. Without
    # the reset, a second training in the same process would differ in the last bit.
    keras.utils.clear_session()
    return exit_status(lambda: train(resolve(parser, argv)))


def run_verb(
    verb: Callable[[argparse.Namespace, argparse.Namespace], dict[str, Any] | None],
    parser: Parser,
    argv: Sequence[str] | None,
) -> int:
    """Runs a script that uses a finished run; returns the exit status.

    `verb` gets the arguments of the script (with `chapter`, and `run_dir` as a Path) and the flags
    of the run.
    """
    def action() -> dict[str, Any] | None:
        args = parser.parse_args(argv)
        args.chapter = parser.chapter
        args.run_dir = rundir.finished_run(parser.chapter, args)
        config = rundir.read_config(args.run_dir, parser.chapter)
        return verb(args, argparse.Namespace(**config["flags"]))

    return exit_status(action)
