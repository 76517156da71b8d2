"""User errors, interruptions, and the exit statuses of scripts."""

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

DISK_FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
TF_NOT_ALLOWED, TF_EXHAUSTED, TF_TOO_LARGE = 7, 8, 11  # `error_code` of TensorFlow's errors


class UserError(Exception):
    """An error that the user can fix: what happened, with the value seen, and what to do."""

    def __init__(self, message: str, hint: str):
        """Stores message and hint, which `exit_status` prints as `error:` and `hint:`."""
        super().__init__(message)
        self.hint = hint


def try_each(action: Callable[[Any], None], items: Iterable[Any]) -> list[UserError]:
    """Applies `action` to each item; returns the errors of those that fail, for `raise_together`.

    Items after a bad one are still processed.
    """
    errors = []
    for item in items:
        try:
            action(item)
        except UserError as error:
            errors.append(error)
    return errors


def raise_together(errors: Sequence[UserError]) -> None:
    """Raises one UserError that lists all of the given ones, if there are any."""
    if errors:
        raise UserError("\n       ".join(map(str, errors)), errors[0].hint)


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """Training was stopped by SIGINT or SIGTERM, after a checkpoint was saved."""


def exit_status(action: Callable[[], dict[str, Any] | None]) -> int:
    """Runs a script and returns its exit status.

    Metrics that `action` returns are printed as one line of JSON, the last line of stdout.

    Returns:
        0 on success, 2 after a user error (two lines on stderr), 130 after an interruption, 141
        if the reader of stdout, such as `head`, has closed it.
    """
    _repair_streams()
    try:
        metrics = action()
        if metrics is not None:
            print(json.dumps(metrics, ensure_ascii=False, allow_nan=False))
        sys.stdout.flush()
    except UserError as error:
        return _explain(str(error), error.hint)
    except (Interrupted, KeyboardInterrupt) as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout, such as `head`, has closed it
        with suppress(OSError, ValueError):  # otherwise Python reports it again on exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if not error.filename and error.errno not in DISK_FULL:
            raise
        return _explain(f"cannot use {error.filename or 'the disk'}: {error.strerror}",
                        hint_for(error))
    except Exception as error:
        if not isinstance(error, MemoryError) and _code(error) != TF_EXHAUSTED:
            raise
        reason = (str(error).splitlines() or ["nothing is left"])[0]
        return _explain(f"not enough memory: {reason}", "lower the sizes: batches, layers, data")
    return 0


def _code(error: Exception) -> int | None:
    """Returns the code of an error of TensorFlow, None for others."""
    return getattr(error, "error_code", None)


def hint_for(error: Exception) -> str:
    """Returns what to do about an error of the file system."""
    number = getattr(error, "errno", None)
    if number in DISK_FULL or _code(error) in (TF_EXHAUSTED, TF_TOO_LARGE):
        return "free some space"
    if number in NOT_ALLOWED or _code(error) == TF_NOT_ALLOWED:
        return "choose a folder in which you may write"
    return "check the path"


def _explain(message: str, hint: str) -> int:
    """Prints a user error; returns its exit status."""
    print(f"error: {message}\nhint: {hint}", file=sys.stderr)
    return 2


def _repair_streams() -> None:
    """Opens closed standard streams on /dev/null, and lets the others print any character.

    A file opened later would otherwise get the number of a closed stream, and TensorFlow would log
    into it.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if (stream := getattr(sys, name)) is None:
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Sets an event on SIGINT and SIGTERM while training runs.

    A second signal has its usual effect, so that a hanging run can be killed. Outside the main
    thread, where Python cannot handle signals, they keep their usual effect.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, previous[number])
        with suppress(OSError, RuntimeError):  # stderr may be closed (`| tee`) or in use
            print("stopping after this step; repeat to stop immediately", file=sys.stderr)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
