"""Locks a run folder against a second process, by a lock that the kernel frees after a kill."""

import errno
import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import UserError

HELD = errno.EWOULDBLOCK  # other errors: the file system has no locks


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Locks a run folder.

    Raises:
        UserError: the folder is in use by another process.
    """
    with (run_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno == HELD:
                raise UserError(f"{run_dir} is in use by another process",
                                "wait for it, or give another --name") from error
            print(f"{run_dir} cannot be locked ({error.strerror}): do not start a second training "
                  "in it", file=sys.stderr)
        yield


def in_use(run_dir: Path) -> bool:
    """Returns whether a process has locked a run folder."""
    with (run_dir / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno == HELD
        return False
