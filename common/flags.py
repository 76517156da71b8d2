"""The flags of a training run.

The value of a flag is, in rising order: default, preset, resumed run, command line.
"""

import argparse
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import checkpoint_files, rundir
from common.errors import UserError
from common.parser import Parser

RUN_FLAGS = {"name", "resume", "run_dir"}  # they select a run and are not recorded


def flag_words(flags: Mapping[str, Any]) -> list[str]:
    """Returns the command line words that set the given flags."""
    words: list[str] = []
    for flag, value in flags.items():
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


def typed_flags(parser: Parser, argv: Sequence[str] | None) -> dict[str, Any]:
    """Returns the flags that a command line sets, by name."""
    unset = object()
    blank = argparse.Namespace(**dict.fromkeys(vars(parser.parse_args(argv)), unset))
    return {k: v for k, v in vars(parser.parse_args(argv, blank)).items() if v is not unset}


def resolve(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Returns the value of every flag of a training run: default < preset < resumed run < typed.

    Besides the flags, the result has `run_dir` (a Path), `chapter`, `script` and `neutral` of the
    parser, `command`, `unnamed` (whether the name of the run folder is generated), `typed` (the
    flags of this command line, by name) and `changed` (those that differ from the resumed run).

    Raises:
        UserError: a typed flag contradicts the run to resume.
    """
    defaults, typed = vars(parser.parse_args([])), typed_flags(parser, argv)
    if parser.own_data and "data_dir" in typed:
        defaults["preset"] = parser.own_data
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
    # More epochs are more steps; the chapter computes how many once it knows its data.
    longer = changed.get("epochs", 0) > (old.get("epochs") or math.inf)
    step = checkpoint_files.last_step(run_dir)
    if not longer and step >= settled.get("max_steps", math.inf):
        if "max_steps" in changed or not rundir.stopped_at_its_end(run_dir, step):
            raise UserError(
                f"nothing to do: {run_dir} is at step {step} of {settled['max_steps']}",
                f"raise {'--epochs' if old.get('epochs') else '--max_steps'} to continue, or "
                "start another run with a new --name",
            )
    print(f"resuming {run_dir} at step {step}", file=sys.stderr)
    for flag, value in changed.items():
        print(f"{flag}: {old[flag]} -> {value}", file=sys.stderr)
    return settled, changed
