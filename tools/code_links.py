"""Updates the line numbers in the links from docs/*.md to definitions in the code.

    python -m tools.code_links           # `make results` runs this
    python -m tools.code_links --check   # exit with status 1 if a line number is out of date

Such a link reads [`name`](../folder/file.py#L123); the file must define that name exactly once.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import pages

LINK = re.compile(r"(\[`(\w+)`\]\(\.\./([\w/]+\.py)#L)\d+")


def line_of(file: str, name: str) -> int:
    """Returns the line on which a file defines a function, method, class or constant.

    Raises:
        ValueError: the file defines the name never or more than once.
    """
    text = (pages.ROOT / file).read_text(encoding="utf-8")
    found = list(re.finditer(rf"^ *(?:def|class) {name}\b|^{name}\b[^=\n]*=", text, re.MULTILINE))
    if len(found) != 1:
        raise ValueError(f"{file} defines {name} {len(found)} times, not once")
    return text.count("\n", 0, found[0].start()) + 1


def render() -> Iterator[tuple[Path, str]]:
    """Yields each page of docs/ and its text with the present line numbers."""
    for path in sorted((pages.ROOT / "docs").glob("*.md")):
        text = path.read_text(encoding="utf-8")
        yield path, LINK.sub(lambda match: f"{match[1]}{line_of(match[3], match[2])}", text)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes or checks the pages."""
    return pages.run(__doc__, render, argv)


if __name__ == "__main__":
    sys.exit(main())
