"""User errors, interruptions, and the exit statuses of scripts."""

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

DISK_FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
BAD_PATH = {errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EROFS}


class UserError(Exception):
    """An error that the user can fix: what happened, with the value seen, and what to do."""

    def __init__(self, message: str, hint: str):
        """Stores message and hint, which `exit_status` prints as `error:` and `hint:`."""
        super().__init__(message)
        self.hint = hint


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """Training was stopped by SIGINT or SIGTERM, after a checkpoint was saved."""


def exit_status(action: Callable[[], dict[str, Any] | None]) -> int:
    """Runs a script and returns its exit status.

    Metrics that `action` returns are printed as one line of JSON, the last line of stdout.

    Returns:
        0 on success, 2 after a user error (two lines on stderr), 130 after an interruption, 141
        if the reader of stdout, such as `head`, has closed it.
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
    except BrokenPipeError:  # the reader of stdout, such as `head`, has closed it
        with suppress(OSError, ValueError):  # otherwise Python reports it again on exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in DISK_FULL | BAD_PATH:
            raise
        where = f" {error.filename}" if error.filename else ""
        print(f"error: cannot write{where}: {error.strerror}", file=sys.stderr)
        hint = "free some space" if error.errno in DISK_FULL else "write to another folder"
        print(f"hint: {hint}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Sets an event on SIGINT and SIGTERM while training runs.

    A second signal has its usual effect, so that a hanging run can be killed.
    """
    stop = threading.Event()
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
