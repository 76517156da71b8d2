"""Writes docs/datasets.md from the `data.py` of each chapter.

    python -m tools.datasets_page           # `make results` runs this
    python -m tools.datasets_page --check   # exit with status 1 if the page is out of date

It lists each data set with its files, their sha256 and their addresses.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlparse

from common.files import default_dir
from tools import pages

HEAD = """# Data sets

Generated from the `data.py` of each chapter by `python -m tools.datasets_page`; do not edit it.

`--dataset NAME` selects a data set; it is never replaced by another one. Missing files are
downloaded once and verified by their sha256. To place them by hand, give them the names below and
put them in the folder below or in any `--data_dir`. Files placed by hand are checked by format,
some also by sha256; another sum is a warning. The data of the published numbers, `$DL21_DATA` in
their commands, are listed in [published_data.md](published_data.md).
"""


def describe(name: str) -> Iterator[str]:
    """Yields the paragraphs about the data sets of one chapter."""
    module = importlib.import_module(f"{name}.data")
    title = module.__doc__.splitlines()[0].split(":")[0].rstrip(".")
    yield f"## [{name}](../{name}): {title}"
    commands = [line[4:] for line in module.__doc__.splitlines() if line.startswith("    ")]
    yield "\n".join(["```bash", f"cd {name}", *commands, "```"])
    for key, about in module.OFFLINE.items():
        yield f"### `{key}`\n\nNo download: {about}."
    for key, source in module.SOURCES.items():
        folder = f"`{default_dir(key).relative_to(pages.ROOT)}/`, or `--data_dir`"
        yield (f"### `{key}`\n\n{source.about}.\n\n"
               f"Folder: {folder if source.looked_for else '`--data_dir`'}.")
        if not source.files:
            continue
        rows = [f"| `{file.name}` | `{file.sha256}` | "
                + ", ".join(f"[{urlparse(url).netloc}]({url})" for url in file.urls) + " |"
                for file in source.files]
        yield "\n".join(["| File | sha256 | From |", "| --- | --- | --- |", *rows])


def render() -> Iterator[tuple[Path, str]]:
    """Yields the page and its text."""
    sections = [paragraph + "\n" for path in pages.chapter_files("data.py")
                for paragraph in describe(path.parent.name)]
    yield pages.ROOT / "docs" / "datasets.md", "\n".join([HEAD, *sections])


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks the page."""
    return pages.run(__doc__, render, argv)


if __name__ == "__main__":
    sys.exit(main())
