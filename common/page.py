"""HTML pages that open from disk: tables of images, texts and numbers, or a custom body.

Titles, texts and captions are escaped, so that text from users is shown and never executed.
"""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

ROWS = 100  # table rows per page

PAGE = """<!DOCTYPE html>
<meta charset="utf-8">
<title>{title}</title>
<style>
  body {{ font: 15px/1.4 sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }}
{style}
</style>
<h1>{title}</h1>
{body}
"""

TABLE_STYLE = """\
  table { border-collapse: collapse; }
  th, td { text-align: left; vertical-align: top; padding: .3em .7em .3em 0; }
  img { display: block; min-width: 64px; max-width: 25em; }
  small { color: #777; }
  nav a, nav b { margin-right: .7em; }"""


def write(path: Path, title: str, body: str, style: str = "") -> None:
    """Writes one page.

    Args:
        path: path of the file.
        title: any text; it is escaped.
        body: HTML; pass text from users through `html.escape`.
        style: CSS rules for the body.
    """
    page = PAGE.format(title=escape(title), style=style, body=body)
    path.write_text(page, encoding="utf-8", errors="backslashreplace")  # names may be any bytes


def write_table(
    folder: Path, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Path:
    """Writes a table as index.html, index-2.html and so on, 100 rows per page.

    Images are written to images/ beside the pages row by row. If `rows` is a generator, memory use
    does not grow with the number of images.

    Args:
        folder: output folder, created if necessary.
        title: title of all pages.
        columns: column headers.
        rows: one cell per column: a text, a number, an image (uint8 of shape (height, width) or
            (height, width, 3)), or a pair of an image and its caption.

    Returns:
        The path of the first page.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number, row in enumerate(rows):
        cells = [_cell(cell, folder, f"images/{number:06d}-{column}.png")
                 for column, (cell, _) in enumerate(zip(row, columns, strict=True))]
        lines.append(f"<tr><td>{'<td>'.join(cells)}\n")
    head = f"<tr><th>{'<th>'.join(map(escape, columns))}\n"
    starts = range(0, max(1, len(lines)), ROWS)
    names = ["index.html", *(f"index-{page}.html" for page in range(2, len(starts) + 1))]
    for name, start in zip(names, starts, strict=True):
        links = [f"<b>{page}</b>" if other == name else f'<a href="{other}">{page}</a>'
                 for page, other in enumerate(names, 1)]
        nav = f"<nav>{' '.join(links)}</nav>\n" if len(names) > 1 else ""
        table = f"<table>\n{head}{''.join(lines[start : start + ROWS])}</table>\n"
        write(folder / name, title, nav + table + nav, TABLE_STYLE)
    return folder / names[0]


def _cell(cell: Any, folder: Path, png: str) -> str:
    """Returns a cell as HTML; if it has an image, writes that to `png` in the folder."""
    image, caption = cell if isinstance(cell, tuple) else (cell, "")
    if not isinstance(image, np.ndarray):
        return escape(f"{cell:.4g}" if isinstance(cell, float | np.floating) else str(cell))
    PIL.Image.fromarray(image).save(folder / png)
    return f'<img src="{png}" alt="">' + (f"<small>{escape(caption)}</small>" if caption else "")
