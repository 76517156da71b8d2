"""What made a result: the commit of this repository, and the versions of the libraries."""

import datetime
import functools
import importlib.metadata
import shutil
import subprocess
import sys
from typing import Any

from common.files import ROOT


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the libraries that a result depends on."""
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python} | {
        name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy")
    }


@functools.cache
def commit() -> dict[str, Any]:
    """Returns the commit of this repository, and whether files differ from it (`dirty`)."""
    def git(*words: str) -> str | None:
        if not shutil.which("git"):
            return None
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    if not (head := git("rev-parse", "HEAD")):  # no git, or no repository
        return {"commit": None, "dirty": None}
    return {"commit": head,
            "dirty": bool(git("status", "--porcelain", "--", ".", ":!results"))}


def provenance() -> dict[str, Any]:
    """Returns the commit, whether files differ from it, and the date of today."""
    return commit() | {"date": datetime.date.today().isoformat()}
