"""Reads docs/figures.md: its chapters, and the rows of their tables."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "figures.md"
HEADING = re.compile(r"^## .*\]\(\.\./(\w+)\)$", re.MULTILINE)
TAGS = re.compile(r"of `(\w+)`: ((?:`[^`]+`(?:, )?)+)")


class Row(NamedTuple):
    """A row of a table, cell by cell."""

    section: str
    shown: str
    commands: str
    ours: str

    def tags(self) -> set[tuple[str, str]]:
        """Returns the TensorBoard run and the name of each tag."""
        return {(run, tag) for run, names in TAGS.findall(self.ours)
                for tag in re.findall("`([^`]+)`", names)}


def read() -> dict[str, list[Row]]:
    """Returns the rows of each chapter's folder."""
    _, *parts = HEADING.split(PAGE.read_text(encoding="utf-8"))
    return {folder: [Row(*line.strip("| ").split(" | "))
                     for line in text.strip().splitlines() if re.match(r"\| [0-9A-Z.]+ \|", line)]
            for folder, text in zip(parts[::2], parts[1::2], strict=True)}
