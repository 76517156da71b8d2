"""Writes docs/datasets.md, and the line numbers of all links from docs/*.md to names in the code.

    python docs/generate.py
    python docs/generate.py --check   # exit 1 if something is out of date

Such a link reads [`name`](../folder/file.py#L123); the file must define that name exactly once.
"""

import argparse
import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlparse

from common.inputs import default_dir

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(\[`(\w+)`\]\(\.\./([\w/]+\.py)#L)\d+")
HEAD = """# Data sets

Written by `python docs/generate.py` from the `data.py` of each chapter; do not edit it here.

`--dataset NAME` chooses a set; no other one is ever put in its place. Absent files are fetched once
and compared with their sha256. To place them by hand, give them the names below and put them in the
folder below or in any `--data_dir`. Files placed by hand are checked by format, not by sha256.
"""


def line_of(file: str, name: str) -> int:
    """Returns the line on which a file defines a function, method, class or constant."""
    text = (ROOT / file).read_text(encoding="utf-8")
    found = list(re.finditer(rf"^ *(?:def|class) {name}\b|^{name}\b[^=\n]*=", text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{file} defines {name} {len(found)} times, not once")
    return text.count("\n", 0, found[0].start()) + 1


def describe(name: str) -> Iterator[str]:
    """Yields the paragraphs about the data of one chapter."""
    module = importlib.import_module(f"{name}.data")
    yield f"## [{name}](../{name}): {module.__doc__.split(':')[0]}"
    commands = [line[4:] for line in module.__doc__.splitlines() if line.startswith("    ")]
    yield "\n".join(["```bash", f"cd {name}", *commands, "```"])
    for key, about in module.OFFLINE.items():
        yield f"### `{key}`\n\nFetches nothing: {about}."
    for key, source in module.SOURCES.items():
        folder = default_dir(key).relative_to(ROOT)
        yield f"### `{key}`\n\n{source.about}.\n\nFolder: `{folder}/`, or `--data_dir`."
        rows = [f"| `{file.name}` | `{file.sha256}` | "
                + ", ".join(f"[{urlparse(url).netloc}]({url})" for url in file.urls) + " |"
                for file in source.files]
        yield "\n".join(["| File | sha256 | From |", "| --- | --- | --- |", *rows])


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks all files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare")
    args, stale = parser.parse_args(argv), False
    chapters = sorted(path.parent.name for path in ROOT.glob("chapter*/data.py"))
    sections = [paragraph + "\n" for name in chapters for paragraph in describe(name)]
    pages = {path: path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")}
    new = pages | {ROOT / "docs" / "datasets.md": "\n".join([HEAD, *sections])}
    for path, text in sorted(new.items()):
        text = LINK.sub(lambda match: f"{match[1]}{line_of(match[3], match[2])}", text)
        if text != pages.get(path):
            stale = True
            print(f"{path.relative_to(ROOT)}: {'out of date' if args.check else 'written'}")
            if not args.check:
                path.write_text(text, encoding="utf-8")
    return int(stale and args.check)


if __name__ == "__main__":
    sys.exit(main())
