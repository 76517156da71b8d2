"""READMEs and docs/ say what the code and results/ say."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path for pattern in ("*.md", "docs/*.md", "chapter*/*.md", "appendix_*/*.md")
               for path in ROOT.glob(pattern))


def load(path: str):
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", ["results/tables.py", "docs/generate.py"])
def test_nothing_generated_is_out_of_date(script, capsys):
    assert load(script).main(["--check"]) == 0, capsys.readouterr().out + "run: make results"


def test_a_row_has_the_steps_of_all_its_seeds(monkeypatch):
    tables = load("results/tables.py")
    run = {"command": "python train.py", "dataset": "d", "book": {}, "metrics": {},
           "minutes_two_cores": 1}
    for steps, shown in (([100, 200, 300], "200 ± 100"), ([2000, 2000], "2,000")):
        monkeypatch.setattr(tables, "load", lambda *_, s=steps: [run | {"steps": n} for n in s])
        assert f"| {shown} |" in tables.results_table("c", {"metrics": {}, "runs": ["r"]}, False)


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
