"""How a script ends: a mistake of the user, an interruption, and their exit statuses."""

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
    """A mistake that the user can mend: what happened, with the value seen, and what to do."""

    def __init__(self, message: str, hint: str):
        """Keeps both lines; `exit_status` prints them as `error:` and `hint:`."""
        super().__init__(message)
        self.hint = hint


class Interrupted(Exception):  # noqa: N818 - nothing is wrong: the user asked for it
    """Training was left early on SIGINT or SIGTERM, after saving everything."""


def exit_status(action: Callable[[], dict[str, Any] | None]) -> int:
    """Runs the work of a script and turns its outcome into an exit status.

    The returned metrics, if any, are printed as one line of JSON, the last line of stdout.

    Returns:
        0 on success, 2 after a mistake of the user (two lines on stderr), 130 after an
        interruption, 141 if nobody reads the output any more.
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
    except BrokenPipeError:  # whoever read the output, such as `head`, has closed it
        with suppress(OSError, ValueError):  # otherwise Python complains once more at its end
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


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """Turns SIGINT and SIGTERM into an event while training runs.

    A second signal acts as it did before, so that a hanging run can still be killed.
    """
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(number, previous[number])
        with suppress(OSError, RuntimeError):  # stderr may be gone (`| tee`), or in use just now
            print("stopping after this step; once more to stop at once", file=sys.stderr)

    for number in previous:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
