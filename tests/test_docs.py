"""READMEs and docs/ say what the code and results/ say."""

import re
from pathlib import Path

import pytest

from tools import code_links, datasets_page, readme_tables

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "chapter??_*/*.md",
                                          "appendix_*/*.md")
               for path in ROOT.glob(pattern))


@pytest.mark.parametrize("tool", [readme_tables, datasets_page, code_links],
                         ids=lambda tool: tool.__name__)
def test_nothing_generated_is_out_of_date(tool, capsys):
    assert tool.main(["--check"]) == 0, capsys.readouterr().out + "run: make results"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http://", "https://", "#")):
            assert (page.parent / link.split("#")[0]).exists(), link


def test_no_file_is_too_large():
    large = [path for path in ROOT.glob("[!.]*/**/*") if path.is_file()
             and path.relative_to(ROOT).parts[0] not in ("runs", "data")
             and path.stat().st_size > 1_000_000]
    assert large == []


def test_common_imports_no_chapter():
    for path in (ROOT / "common").glob("*.py"):
        assert not re.search(r"(from|import) (chapter|appendix)", path.read_text(encoding="utf-8"))
