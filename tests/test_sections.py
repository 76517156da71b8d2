"""Every section of the book that is cited anywhere exists, and is one of the chapter that cites it.

The book's sections are cited as "section 2.2.1" (in Chinese "2.2.1 节"), and at the start of an
entry of "Errata and differences" as "**2.2.1". Sections of papers and other books are cited with
the sign §.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = set((ROOT / "tests" / "sections.txt").read_text(encoding="utf-8").split())
NUMBER = r"\d+(?:\.\d+)+"
LIST = rf"{NUMBER}(?:(?:, | and |, and | or | to |–|-){NUMBER})*"
CHINESE_LIST = rf"{NUMBER}(?:(?:、| ?和 ?| ?至 ?|–){NUMBER})*"
CITATION = re.compile(
    rf"[Ss]ections? {LIST}|^[-*] \*\*{LIST}|{CHINESE_LIST} ?节", re.MULTILINE)
PAGES = sorted(path for pattern in ("*.md", "docs/*.md", "chapter??_*/*.md", "chapter??_*/*.py",
                                    "common/*.py", "tools/*.py", "benchmarks/*.py")
               for path in ROOT.glob(pattern))
EARLIER = {"chapter19": {"18"}}  # whose maze chapter 19 uses


def cited_in(text: str) -> list[str]:
    """Returns the numbers of all sections that a text cites."""
    return [number for match in CITATION.finditer(text)
            for number in re.findall(NUMBER, match[0])]


def test_citations_are_found():
    text = ("see section 2.2.1; sections 3.3.4 and 3.3.5\n- **12.5.4, samples.** In 1.2 seconds, "
            "version 2.21, He et al. § 3.3; 书中 2.1.3 节和第 15.3.1、15.3.2 节")
    assert cited_in(text) == ["2.2.1", "3.3.4", "3.3.5", "12.5.4", "2.1.3", "15.3.1", "15.3.2"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_cited_section_exists(path):
    cited = set(cited_in(path.read_text(encoding="utf-8")))
    assert cited - SECTIONS == set()
    folder = path.parent.name
    if chapter := re.match(r"chapter(\d\d)", folder):
        own = {str(int(chapter[1]))} | EARLIER.get(chapter[0], set())
        assert {number.split(".")[0] for number in cited} <= own
