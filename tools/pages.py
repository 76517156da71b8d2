"""Writes the pages that programs generate, or checks that they are up to date."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def chapter_files(pattern: str) -> list[Path]:
    """Returns the files of all chapters and appendices whose names match a pattern."""
    return [path for folder in ("chapter??_*", "appendix_*")  # not the link chapter12
            for path in sorted(ROOT.glob(f"{folder}/{pattern}"))]


def run(
    doc: str, render: Callable[[], Iterable[tuple[Path, str]]], argv: Sequence[str] | None
) -> int:
    """Writes the pages that have changed, or with `--check` only names them.

    Args:
        doc: docstring of the program.
        render: yields each page's path and its new text.
        argv: the command line.

    Returns:
        The exit status: 1 if `--check` was given and a page is out of date.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--check", action="store_true",
                        help="write nothing, exit with status 1 if a page is out of date")
    check = parser.parse_args(argv).check
    stale = False
    for path, text in render():
        if not path.exists() or text != path.read_text(encoding="utf-8"):
            stale = True
            print(f"{path.relative_to(ROOT)}: {'out of date' if check else 'written'}")
            if not check:
                path.write_text(text, encoding="utf-8")
    return int(stale and check)
