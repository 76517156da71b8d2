"""The checkpoints of a run on disk: which there are, and which one a name means."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from common.errors import UserError

NAME = re.compile(r"ckpt-\d+")
READ_ERRORS = AssertionError, ValueError, IndexError, tf.errors.OpError


def checkpoints(folder: Path) -> list[str]:
    """Returns the complete checkpoints in a folder, the latest last.

    TensorFlow lists a checkpoint only after both of its files are written, so one that was
    interrupted by a kill is not in the list. Deleted ones are skipped. If the list is damaged or
    missing, those that have both files are taken; a single one without a list may be incomplete.
    """
    if (paths := _listed(folder)) is None:
        paths = sorted((str(path.with_suffix("")) for path in folder.glob("ckpt-*.index")
                        if NAME.fullmatch(path.stem)
                        and path.with_suffix(".data-00000-of-00001").is_file()), key=step_of)
        if len(paths) == 1 and not (folder / "checkpoint").exists():
            return []
    return [path for path in paths if Path(f"{path}.index").is_file()]


def _listed(folder: Path) -> Sequence[str] | None:
    """Returns the checkpoints in TensorFlow's list, None if the list is damaged or missing."""
    try:
        state = tf.train.get_checkpoint_state(str(folder))
    except ValueError:  # also UnicodeDecodeError
        return None
    paths = state.all_model_checkpoint_paths if state else ()
    return paths if paths and all(NAME.fullmatch(Path(path).name) for path in paths) else None


def repair(folder: Path) -> None:
    """Removes the parts that a kill within a save has left, and rewrites a damaged list."""
    for part in folder.glob("ckpt-*_temp"):
        shutil.rmtree(part, ignore_errors=True)
    if _listed(folder) is None and folder.is_dir():
        found = [Path(f"{path}.index") for path in checkpoints(folder)]
        lines = [f'model_checkpoint_path: "{file.stem}"\n' for file in found[-1:]]
        for file in found:  # TensorFlow deletes old ones by their time
            lines += [f'all_model_checkpoint_paths: "{file.stem}"\n',
                      f"all_model_checkpoint_timestamps: {file.stat().st_mtime}\n"]
        (folder / "checkpoint").unlink(missing_ok=True)
        if found:
            part = folder / "checkpoint.part"
            part.write_text("".join(lines), encoding="utf-8")
            part.replace(folder / "checkpoint")


def step_of(path: str) -> int:
    """Returns the step of a numbered checkpoint."""
    return int(path.rpartition("-")[2])


def latest(folder: Path) -> str | None:
    """Returns the latest complete checkpoint in a folder, None if there is none."""
    return next(reversed(checkpoints(folder)), None)


def last_step(run_dir: Path) -> int:
    """Returns the step of the latest checkpoint of a run, 0 if there is none."""
    path = latest(run_dir / "checkpoints")
    return step_of(path) if path else 0


def choose(run_dir: Path, which: str) -> str | None:
    """Returns the path of a checkpoint of a run, None if there is none.

    Args:
        run_dir: the run folder.
        which: "latest", "best", which falls back to the latest, or a step.

    Raises:
        UserError: there is no checkpoint of that step.
    """
    folder = run_dir / "checkpoints"
    if which in ("best", "latest"):
        return (latest(folder / "best") if which == "best" else None) or latest(folder)
    by_step = {step_of(path): path for path in checkpoints(folder)}
    if int(which) not in by_step:
        raise UserError(f"{run_dir} has no checkpoint of step {which}",
                        f"it has those of {', '.join(map(str, by_step)) or 'no step'}")
    return by_step[int(which)]


def drop_latest(run_dir: Path) -> None:
    """Deletes the latest checkpoint of a run, so that it resumes from the one before."""
    path = Path(latest(run_dir / "checkpoints"))
    for file in path.parent.glob(f"{path.name}.*"):
        file.unlink()


def unusable(path: str, error: Exception, hint: str) -> UserError:
    """Returns the error for a checkpoint that cannot be restored.

    Weights that are missing, left over or of another shape mean that the checkpoint is of another
    model, for which `hint` is given. Any other error means that the files are damaged.
    """
    reason = str(error).splitlines()[0]
    misfits = AssertionError, ValueError, tf.errors.InvalidArgumentError, tf.errors.NotFoundError
    if not isinstance(error, misfits):
        return UserError(f"{path} is damaged: {reason}",
                         f"delete {path}.* to use the checkpoint before it, if there is one")
    return UserError(f"{path} does not fit this model: {reason}", hint)
