"""docs/figures.md has all chapters, and pictures that are there and small.

That its commands parse and its tags are written is tested in test_contract.py.
"""

import re

import pytest
from figure_rows import PAGE, ROOT, read

SECTIONS = set((ROOT / "tests" / "sections.txt").read_text(encoding="utf-8").split())
FIGURES = read()
PICTURES = sorted(set(re.findall(r'<img src="([^"]+)"', PAGE.read_text(encoding="utf-8"))))
MAX_BYTES = 100_000


def test_every_chapter_has_its_rows_in_the_order_of_the_book():
    chapters = [path.name for path in sorted(ROOT.glob("chapter??_*"))]
    assert [name for name in FIGURES if name.startswith("chapter")] == chapters
    for folder, rows in FIGURES.items():
        sections = [row.section for row in rows]
        assert sections
        if chapter := re.match(r"chapter(\d\d)", folder):
            assert set(sections) <= SECTIONS
            assert {section.split(".")[0] for section in sections} == {str(int(chapter[1]))}
            assert sections == sorted(sections, key=lambda name: [*map(int, name.split("."))])


@pytest.mark.parametrize("folder", FIGURES)
def test_every_figure_has_a_command_or_a_reason_for_none(folder):
    for row in FIGURES[folder]:
        assert row.ours
        assert ("`python " in row.commands) != row.ours.startswith("none"), row


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_are_there_and_small(picture):
    assert (PAGE.parent / picture).stat().st_size <= MAX_BYTES


@pytest.mark.parametrize("folder", FIGURES)
def test_files_that_are_named_are_written_by_the_chapter(folder):
    code = "".join(path.read_text(encoding="utf-8") for name in (folder, "common")
                   for path in (ROOT / name).glob("*.py"))
    code = re.sub(r"\{[^{}]*\}", "N", code)  # as the page names what an f-string puts in
    for row in FIGURES[folder]:
        for name in re.findall(r"`(?:\w+/)?([\w.-]+\.(?:png|jpg|gif|html|txt))`", row.ours):
            assert name in code
